// The verbs of a farm's clients: submit, jobs, status, watch, fetch, cancel and the others.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/config.h"
#include "cli/farm/command_words.h"
#include "cli/farm/farm_commands.h"

namespace kiln::cli {
namespace {

// Flags of every command that speaks to a coordinator, and those of the single ones.
struct FarmFlags {
  FarmAddress address;
  SubmitOptions submit;
  FetchOptions fetch;
  LogsOptions logs;
  net::Explain explain;
  std::string name;  // of a job or worker
  int timeout_s = 0;
  bool all = false;
  bool off = false;
  bool leave = false;
};
constexpr int kTimeoutMostS = 86'400;
using Flags = std::shared_ptr<FarmFlags>;
using FarmAction = std::function<Result<int>(FarmLink&, const FarmFlags&, const GlobalOptions&)>;

// What is wrong with a word ends the command as any wrong usage does.
CLI::Option* checked(CLI::Option* option, Status (*check)(std::string_view)) {
  return option->check(CLI::Validator(
      [check](std::string& word) {
        const Status status = check(word);
        return status ? std::string() : status.error().message;
      },
      ""));
}

// The word as `read` understands it.
template <typename Value>
CLI::Option* add_word(CLI::App& verb, const std::string& name, Value& out, Result<Value> (*read)(std::string_view),
                      const std::string& what) {
  return verb.add_option_function<std::string>(
      name,
      [name, &out, read](const std::string& word) {
        Result<Value> value = read(word);
        if (!value) throw CLI::ValidationError(name, value.error().message);
        out = *std::move(value);
      },
      what);
}

CLI::Option* add_job(CLI::App& verb, std::string& job) {
  return checked(verb.add_option("job", job, "Name of the job"), check_job_word);
}

Result<std::unique_ptr<FarmLink>> open_link(const FarmFlags& flags, const GlobalOptions& global) {
  FarmAddress address = flags.address;
  address.timeout = std::chrono::seconds(flags.timeout_s);
  ConfigSources sources;
  sources.file = global.config_file;
  if (!address.state_dir.empty()) sources.flags.push_back({"run.state", "--state", address.state_dir});
  KILN_TRY_ASSIGN(const LoadedConfig loaded, load_config(sources));
  address.state_dir = loaded.config.state_dir;
  return FarmLink::open(address);
}

CLI::App* add_verb(CLI::App& app, Action& action, const Flags& flags, const std::string& name, const std::string& what,
                   FarmAction run) {
  CLI::App* verb = app.add_subcommand(name, what);
  verb->add_option("--coordinator", flags->address.endpoint, "Its address, tcp://HOST:PORT")->envname("KILN_COORDINATOR");
  verb->add_option("--key", flags->address.key_file, "Our key pair (kiln keygen)")->envname("KILN_KEY");
  verb->add_option("--coordinator-key", flags->address.coordinator_key, "The coordinator's public key, or a file with it")
      ->envname("KILN_COORDINATOR_KEY");
  verb->add_option("--state", flags->address.state_dir, "State folder of a coordinator on this machine");
  verb->add_option("--timeout", flags->timeout_s, "Seconds to wait for the coordinator (default: 5 until it is there, 20 for an "
                   "answer)")->check(CLI::Range(1, kTimeoutMostS));
  verb->callback([&action, flags, run = std::move(run)] {
    action = [flags, run](const GlobalOptions& global) -> Result<int> {
      KILN_TRY_ASSIGN(const std::unique_ptr<FarmLink> link, open_link(*flags, global));
      return run(*link, *flags, global);
    };
  });
  return verb;
}

void add_job_verb(CLI::App& app, Action& action, const Flags& flags, const char* name, const char* what, net::JobVerb verb) {
  CLI::App* added =
      add_verb(app, action, flags, name, what, [verb](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    return plain_command(link, net::ControlJob{f.name, verb}, global);
  });
  add_job(*added, flags->name)->required();
}

void add_job_verbs(CLI::App& app, Action& action, const Flags& flags) {
  add_job_verb(app, action, flags, "cancel", "End a job; what it rendered is kept until it is removed", net::JobVerb::kCancel);
  add_job_verb(app, action, flags, "pause", "Hand out nothing more of a job", net::JobVerb::kPause);
  add_job_verb(app, action, flags, "resume", "Go on with a paused job", net::JobVerb::kResume);
  add_job_verb(app, action, flags, "retry", "Try again what failed or was cancelled", net::JobVerb::kRetry);
  add_job_verb(app, action, flags, "rm", "Forget a job that has ended, and its results", net::JobVerb::kRemove);
}

void add_results(CLI::App& app, Action& action, const Flags& flags) {
  CLI::App* submit = add_verb(app, action, flags, "submit", "Hand a job to the farm",
                              [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
                                return submit_command(link, f.submit, global);
                              });
  submit->add_option("file", flags->submit.file, "Job file (docs/job-files.md)")->required();
  submit->add_flag("--wait", flags->submit.wait, "Watch it until it has ended");
  submit->add_flag("--in-place", flags->submit.in_place, "Leave sources where they are: every worker reads them at the same path");
  submit->footer("Example:\n  kiln submit job.toml --wait");
  CLI::App* fetch = add_verb(app, action, flags, "fetch", "Copy a job's results here",
                             [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
                               return fetch_command(link, f.fetch, global);
                             });
  add_job(*fetch, flags->fetch.job)->required();
  fetch->add_option("-o,--output", flags->fetch.output, "A folder, or with one clip a file's name")->required();
  fetch->add_flag("--overwrite", flags->fetch.overwrite, "Replace files that exist");
  CLI::App* logs = add_verb(app, action, flags, "logs", "What a task's tries wrote",
                            [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
                              return logs_command(link, f.logs, global);
                            });
  add_word(*logs, "task", flags->logs.task, task_number, "Number of the task")->required();
  add_word(*logs, "--attempt", flags->logs.attempt, attempt_number, "Which try (default: the latest)");
}

void add_views(CLI::App& app, Action& action, const Flags& flags) {
  add_verb(app, action, flags, "jobs", "List jobs", [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    return plain_command(link, net::ListJobs{f.all}, global);
  })->add_flag("--all", flags->all, "Those that have ended as well");
  CLI::App* status = add_verb(app, action, flags, "status", "The farm, or one job",
                              [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    if (f.name.empty()) return plain_command(link, net::GetStatus{}, global);
    return status_command(link, f.name, global);
  });
  add_job(*status, flags->name);
  CLI::App* watch = add_verb(app, action, flags, "watch", "Follow a job until it has ended",
                             [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    return watch_command(link, f.name, global);
  });
  add_job(*watch, flags->name)->required();
  add_verb(app, action, flags, "workers", "List workers and their lanes",
           [](FarmLink& link, const FarmFlags&, const GlobalOptions& global) {
    return plain_command(link, net::ListWorkers{}, global);
  });
  CLI::App* trace = add_verb(app, action, flags, "trace", "A job as a Chrome trace, on standard output",
                             [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    return plain_command(link, net::GetTrace{f.name}, global);
  });
  add_job(*trace, flags->name)->required();
  CLI::App* explain = add_verb(app, action, flags, "explain", "Why a job or a task waits",
                               [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    return plain_command(link, f.explain, global);
  });
  add_word(*explain, "what", flags->explain, explain_request, "Name of a job or number of a task")->required();
}

void add_drain(CLI::App& app, Action& action, const Flags& flags) {
  CLI::App* drain = add_verb(app, action, flags, "drain", "Let a worker finish what it has and give it nothing more",
                             [](FarmLink& link, const FarmFlags& f, const GlobalOptions& global) {
    return plain_command(link, net::Drain{f.name, !f.off, f.leave}, global);
  });
  checked(drain->add_option("worker", flags->name, "Name of the worker"), check_worker_word)->required();
  CLI::Option* off = drain->add_flag("--off", flags->off, "Use it again");
  drain->add_flag("--leave", flags->leave, "It ends when it has finished (exit code 0)")->excludes(off);
}

}  // namespace

void add_farm_commands(CLI::App& app, Action& action) {
  auto flags = std::make_shared<FarmFlags>();
  add_results(app, action, flags);
  add_views(app, action, flags);
  add_drain(app, action, flags);
  add_job_verbs(app, action, flags);
}

}  // namespace kiln::cli
