#include "tests/lane/share/share_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <thread>

namespace kiln::lane {
namespace {

constexpr int kWriters = 4;
constexpr std::uint64_t kBlock = std::uint64_t{1} << 20U;

// splitmix64, from a place in the file on.
void fill(std::uint64_t* to, std::uint64_t count, std::uint64_t from) {
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t x = (from + i + 1) * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
    to[i] = x ^ (x >> 31U);
  }
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<UniqueFd> random_weights(std::uint64_t bytes) {
  UniqueFd fd(::memfd_create("random-weights", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return fail(errno_error(errno, "memfd"));
  std::vector<std::thread> writers;
  std::vector<int> failed(kWriters);
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      std::vector<std::uint64_t> block(kBlock / sizeof(std::uint64_t));
      for (std::uint64_t at = kBlock * static_cast<std::uint64_t>(writer); at < bytes; at += kBlock * kWriters) {
        fill(block.data(), block.size(), at / sizeof(std::uint64_t));
        const std::uint64_t size = std::min(kBlock, bytes - at);
        const ssize_t written = ::pwrite(fd.get(), block.data(), size, static_cast<off_t>(at));
        if (written != static_cast<ssize_t>(size)) failed.at(static_cast<std::size_t>(writer)) = errno;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (const int error : failed) {
    if (error != 0) return fail(errno_error(error, "writing weights"));
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return fail(errno_error(errno, "sealing"));
  }
  return fd;
}

Result<LaneId> ShareRig::start(const MemberOptions& options) {
  const LaneId id{static_cast<std::uint32_t>(lanes_.size())};
  worker::LaneStart how;
  how.program = program_;
  how.card_uuid = options.card_uuid;
  KILN_TRY_ASSIGN(worker::LaneProcess lane, worker::LaneProcess::start(id, how));
  net::SetUp set_up;
  set_up.lane = id;
  set_up.device = options.card_uuid.empty() ? "host" : "cuda:0";
  // What a true lane has no need to be told goes where it is told of something else.
  set_up.answers_folder = options.nccl;
  set_up.ring_bytes = options.chunk_bytes;
  set_up.threads = options.patience_ms;
  set_up.encoder_threads = options.root_patience_ms;
  KILN_TRY(lane.send(set_up));
  options_[id] = options;
  lanes_.emplace(id, std::move(lane));
  return id;
}

bool ShareRig::load(LaneId lane) {
  const auto load = groups_.load(kWeights, lane);
  say(load.words);
  send_load(lane, load.epoch);
  return load.epoch > 0;
}

void ShareRig::send_load(LaneId lane, std::uint64_t share) {
  net::LoadPackage message;
  message.share = share;
  const MemberOptions& options = options_.at(lane);
  message.graphs = {static_cast<std::uint32_t>(options.killed_after), static_cast<std::uint32_t>(options.stopped_after),
                    options.hashes ? 1U : 0U};
  (void)lanes_.at(lane).send(message, {weights_.get()});
}

bool ShareRig::run_until(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const double until = steady_seconds() + std::chrono::duration<double>(deadline).count();
  while (!condition()) {
    std::vector<pollfd> polls;
    std::vector<LaneId> ids;
    for (const auto& [id, lane] : lanes_) {
      if (gone.contains(id)) continue;
      polls.push_back({lane.fd(), POLLIN, 0});
      ids.push_back(id);
    }
    const int ms = static_cast<int>((until - steady_seconds()) * 1e3);
    if (ms <= 0 || ::poll(polls.data(), polls.size(), ms) <= 0) return condition();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (polls[i].revents != 0) hear(ids[i]);
    }
  }
  return true;
}

void ShareRig::say(const worker::GroupWords& words) {
  for (const worker::GroupWord& word : words) {
    std::visit([&](const auto& body) { (void)lanes_.at(word.lane).send(body); }, word.body);
  }
}

void ShareRig::hear(LaneId lane) {
  const auto arrival = lanes_.at(lane).receive();
  if (arrival && !arrival->closed && !arrival->message) return;
  if (!arrival || arrival->closed) {
    gone[lane] = steady_seconds();
    return say(groups_.on_lost(lane, "it is gone"));
  }
  if (std::holds_alternative<net::Hello>(*arrival->message)) up.insert(lane);
  if (const auto* opened = std::get_if<net::ShareOpened>(&*arrival->message)) return say(groups_.on_opened(lane, *opened));
  if (const auto* ended = std::get_if<net::ShareEnded>(&*arrival->message)) {
    if (!ended->why.empty()) said_ended[lane] = ended->why;
    return say(groups_.on_ended(lane, *ended));
  }
  if (const auto* loaded = std::get_if<net::PackageLoaded>(&*arrival->message)) {
    MemberLoad& load = loads[lane];
    load.copied_bytes = loaded->weights_copied_bytes;
    load.received_bytes = loaded->weights_received_bytes;
    load.device_bytes = loaded->peak_activation_bytes;
    std::istringstream words(loaded->inputs.at(0).dtype);
    words >> load.begin_s >> load.end_s >> load.hash;
  }
}

}  // namespace kiln::lane
