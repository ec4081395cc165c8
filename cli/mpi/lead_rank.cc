#include "cli/mpi/lead_rank.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/atomic_file.h"
#include "base/log.h"
#include "base/signal_fd.h"
#include "cli/error_report.h"
#include "cli/kept_process.h"
#include "cli/mpi/launch_job.h"
#include "net/allow_list.h"

namespace kiln::cli {
namespace {

// mpirun sends SIGKILL a second after SIGTERM; the journal needs less.
constexpr std::chrono::milliseconds kStopPatience{800};
constexpr std::chrono::milliseconds kEndPatience{20'000};  // after the job, for the coordinator and its store
constexpr const char* kClientName = "lead";

// Keys of this launch's own, made here and known to nobody else.
struct LeadKeys {
  net::CurveKeyPair client;
  net::CurveKeyPair worker;
  UniqueFd coordinator_fd;
  UniqueFd client_fd;
  UniqueFd worker_fd;
};

Result<LeadKeys> make_keys(const Launch& launch) {
  LeadKeys keys;
  KILN_TRY_ASSIGN(keys.client, net::generate_curve_keys());
  KILN_TRY_ASSIGN(keys.worker, net::generate_curve_keys());
  KILN_TRY_ASSIGN(keys.coordinator_fd, pack_keys(launch.own_keys()));
  KILN_TRY_ASSIGN(keys.client_fd, pack_keys(keys.client));
  KILN_TRY_ASSIGN(keys.worker_fd, pack_keys(keys.worker));
  return keys;
}

// Whoever introduced itself may come in, under the name that was worked out for it; and whom the user names.
Status write_allow_list(const Launch& launch, const MpiFlags& flags, const std::vector<RankRole>& roles,
                        const LeadKeys& keys) {
  net::AllowList allowed;
  if (!flags.allow.empty()) {
    KILN_TRY_ASSIGN(allowed, net::AllowList::load(flags.allow));
  }
  KILN_TRY(allowed.add({kClientName, net::PeerRole::kAdmin, keys.client.public_z85}));
  for (std::size_t rank = 0; rank < roles.size(); ++rank) {
    if (!roles[rank].works) continue;
    const std::string& key = rank == 0 ? keys.worker.public_z85 : launch.ranks[rank].public_key;
    KILN_TRY(allowed.add({roles[rank].worker, net::PeerRole::kWorker, key}));
  }
  KILN_TRY(write_file_atomic(flags.state + "/allow.txt", allowed.to_text()));
  return write_file_atomic(flags.state + "/coordinator.pub", launch.coordinator_key() + "\n");
}

// The job's client has a thread of its own: its questions wait for answers.
struct ClientThread {
  UniqueFd done;
  std::optional<Result<int>> code;
  std::thread thread;

  Status start(LaunchJob job) {
    done.reset(::eventfd(0, EFD_CLOEXEC));
    if (!done.valid()) return fail(errno_error(errno, "eventfd"));
    thread = std::thread([this, job = std::make_shared<LaunchJob>(std::move(job))] {
      code = job->run();
      (void)::eventfd_write(done.get(), 1);
    });
    return {};
  }
};

struct Lead {
  UniqueFd signals;
  KeptProcess coordinator;
  std::optional<KeptProcess> worker;
  ClientThread client;

  void stop() {
    if (worker) worker->kill();
    coordinator.stop(kStopPatience);
  }
};

// Nothing: the coordinator goes on. Its own rank's worker may leave before the others.
Status on_child_end(KeptProcess& child, std::string_view name, bool may_leave) {
  KILN_TRY_ASSIGN(const std::optional<int> ended, child.on_end());
  if (!ended || (may_leave && *ended == 0)) return {};
  return fail(make_error(ErrorCode::kAborted, static_cast<ExitCode>(*ended), "the {} ended with exit code {}", name, *ended));
}

// The exit code, or 128 and the signal that ended it. After an error or a signal the client's thread is still at work.
Result<int> supervise(Lead& lead) {
  const pid_t launcher = ::getppid();
  for (;;) {
    std::array<pollfd, 4> polls = {{{lead.signals.get(), POLLIN, 0}, {lead.client.done.get(), POLLIN, 0},
                                    {lead.coordinator.fd(), POLLIN, 0},
                                    {lead.worker && lead.worker->running() ? lead.worker->fd() : -1, POLLIN, 0}}};
    if (::poll(polls.data(), polls.size(), kLauncherLookMs) < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
    const int signal = ::getppid() == launcher ? take_signal(lead.signals.get()) : SIGTERM;
    if (signal != 0) return 128 + signal;
    if (polls[1].revents != 0) return 0;
    if (polls[2].revents != 0) KILN_TRY(on_child_end(lead.coordinator, "coordinator", false));
    if (polls[3].revents != 0) KILN_TRY(on_child_end(*lead.worker, "worker of rank 0", true));
  }
}

}  // namespace

Result<int> run_lead_rank(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global,
                          const std::vector<RankRole>& roles) {
  KILN_TRY_ASSIGN(UniqueFd signals, open_signal_fd({SIGTERM, SIGINT}));
  KILN_TRY_ASSIGN(const LeadKeys keys, make_keys(launch));
  KILN_TRY(make_directories(posix_file_system(), flags.state, 0700));
  KILN_TRY(write_allow_list(launch, flags, roles, keys));
  Lead lead{std::move(signals),
            KeptProcess("the coordinator", coordinator_command(launch, flags, global, keys.coordinator_fd.get())), {}, {}};
  KILN_TRY(lead.coordinator.start());
  if (roles[0].works) {
    lead.worker.emplace("the worker " + roles[0].worker,
                        worker_command(launch, flags, global, roles[0], keys.worker_fd.get()));
    KILN_TRY(lead.worker->start());
  }
  std::vector<std::string> workers;
  for (const RankRole& role : roles) {
    if (role.works) workers.push_back(role.worker);
  }
  const FarmAddress address{launch.endpoint(), fmt::format("fd:{}", keys.client_fd.get()), launch.coordinator_key(), {}};
  KILN_TRY(lead.client.start(LaunchJob(flags, address, std::move(workers), global)));
  const Result<int> ended = supervise(lead);
  if (ended && *ended == 0) {
    lead.client.thread.join();
    lead.coordinator.stop(kEndPatience);
    return *std::move(lead.client.code);
  }
  // The client may wait for an answer that never comes; nothing of it is worth waiting for.
  lead.stop();
  if (!ended) report_error(ended.error(), global.json);
  std::fflush(nullptr);
  std::_Exit(ended ? *ended : exit_code(ended.error()));
}

}  // namespace kiln::cli
