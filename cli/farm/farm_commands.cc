#include "cli/farm/farm_commands.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file_system.h"
#include "cli/farm/blob_transfer.h"
#include "cli/farm/farm_output.h"
#include "cli/farm/job_status.h"
#include "cli/farm/submission.h"
#include "cli/image_files.h"
#include "worker/image_archive.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kWatchWaitMs = 10'000;
constexpr std::uint64_t kLogBytesMax = 64ULL << 20U;

// A line that the next one overwrites, where there is a terminal; elsewhere each change is a line of its own.
void show(const std::string& line) {
  static std::string last;
  if (line == last) return;
  last = line;
  if (::isatty(STDERR_FILENO) != 0) {
    fmt::print(stderr, "\r\033[K{}", line);
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

void end_line() {
  if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\n");
}

void print(const net::ClientReply& reply, const GlobalOptions& global, const std::string& text) {
  fmt::print("{}", global.json ? to_json(reply) + "\n" : text);
}

std::string text_of(const net::ClientReply& reply) {
  if (const auto* list = std::get_if<net::JobList>(&reply)) return job_table(*list);
  if (const auto* status = std::get_if<net::JobStatus>(&reply)) return job_text(*status);
  if (const auto* workers = std::get_if<net::WorkerList>(&reply)) return worker_table(*workers);
  if (const auto* farm = std::get_if<net::FarmStatus>(&reply)) return farm_text(*farm);
  if (const auto* trace = std::get_if<net::Trace>(&reply)) return chrome_trace(*trace) + "\n";
  if (const auto* explanation = std::get_if<net::Explanation>(&reply)) {
    std::string out;
    for (std::size_t i = 0; i < explanation->lines.size(); ++i) out += (i == 0 ? "" : "  ") + explanation->lines[i] + "\n";
    return out;
  }
  return {};
}

Status check_place(const std::string& path, bool overwrite) {
  std::error_code error;
  if (fs::path(path).filename().string().size() > kFileNameBytesMax) {
    return fail(output_unwritable("{}: its name is longer than {} bytes; choose a shorter one", path, kFileNameBytesMax));
  }
  const bool there = is_output_pattern(path) ? !images_at(path).empty() : fs::exists(path, error);
  if (!overwrite && there) {
    return fail(output_unwritable("{}: exists already; choose another name or give --overwrite", path));
  }
  return {};
}

// From the folder that they were unpacked in to their place; of a longer sequence that was there nothing stays.
Status put_images(const std::string& part, const std::string& pattern) {
  FileSystem& files = posix_file_system();
  const std::string folder = folder_of(pattern);
  const auto names = images_at(part + "/" + fs::path(pattern).filename().string());
  if (names.empty()) return fail(make_error(ErrorCode::kDataLoss, "{}: the farm's result holds no such image", pattern));
  for (const std::string& name : names) KILN_TRY(files.sync_file(part + "/" + name));
  const auto earlier = images_at(pattern);
  for (const std::string& name : names) KILN_TRY(files.rename(part + "/" + name, folder + "/" + name));
  for (const std::string& name : earlier) {
    if (!std::binary_search(names.begin(), names.end(), name)) KILN_TRY(files.remove_file(folder + "/" + name));
  }
  return files.sync_directory(folder);
}

// The store holds a sequence as one archive. Images come under their names only when all of them are here. What a killed
// command left is in the way of nothing: the next one begins anew in the same folder.
Status fetch_images(BlobTransfer& store, const net::BlobRef& blob, const std::string& pattern) {
  std::error_code error;
  const std::string part = fetch_part_of(pattern);
  fs::remove_all(part, error);
  if (!fs::create_directory(part, error)) return fail(output_unwritable("{}: {}", part, error.message()));
  const std::string archive = part + "/.images.tar";
  Status done = store.download(blob, archive);
  if (done) done = worker::read_image_archive(archive, part);
  if (done) done = put_images(part, pattern);
  fs::remove_all(part, error);
  return done;
}

// What is printed: segments are in JSON alone.
net::JobDetail detail_of(const GlobalOptions& global) {
  return global.json ? net::JobDetail::kSegments : net::JobDetail::kClips;
}

}  // namespace

bool has_ended(net::JobState state) {
  return state == net::JobState::kDone || state == net::JobState::kFailed || state == net::JobState::kCancelled;
}

Result<int> status_command(FarmLink& link, const net::JobName& job, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(net::JobStatus status, ask_job_status(link, job, detail_of(global)));
  const std::string text = job_text(status);
  print(net::ClientReply{std::move(status)}, global, text);
  return 0;
}

Result<int> plain_command(FarmLink& link, const net::ClientRequest& request, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(const net::ClientReply reply, link.ask(request));
  print(reply, global, text_of(reply));
  return 0;
}

Result<int> submit_command(FarmLink& link, const SubmitOptions& options, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(JobDraft draft, read_job_file(options.file));
  draft.in_place = draft.in_place || options.in_place;
  const net::JobName job = draft.request.job;
  KILN_TRY(submit_job(link, std::move(draft), [&](const std::string& path) {
    if (!global.json) show(fmt::format("sending {}", path));
  }));
  if (!global.json) end_line();
  if (options.wait) return watch_command(link, job, global);
  if (global.json) {
    fmt::print("{{\"job\":\"{}\"}}\n", job);
  } else {
    fmt::print("{}\n", job);
  }
  return 0;
}

Result<net::JobStatus> wait_for_change(FarmLink& link, const net::JobName& job, std::uint64_t revision, bool shows) {
  // One line needs no clips; the end needs them all.
  KILN_TRY_ASSIGN(net::JobStatus status,
                  link.ask_for<net::JobStatus>(net::GetJob{job, revision, kWatchWaitMs, net::JobDetail::kClips, 0, 1, 0, 0},
                                               std::chrono::milliseconds(kWatchWaitMs)));
  if (shows) show(job_line(status));
  if (!has_ended(status.summary.state)) return status;
  if (shows) end_line();
  return ask_job_status(link, job, shows ? net::JobDetail::kClips : net::JobDetail::kSegments);
}

int print_ended_job(net::JobStatus status, const GlobalOptions& global) {
  const int code = status.summary.state == net::JobState::kDone ? 0 : static_cast<int>(ExitCode::kFailed);
  const std::string text = job_text(status);
  print(net::ClientReply{std::move(status)}, global, text);
  return code;
}

Result<int> watch_command(FarmLink& link, const net::JobName& job, const GlobalOptions& global) {
  std::uint64_t revision = 0;
  for (;;) {
    KILN_TRY_ASSIGN(net::JobStatus status, wait_for_change(link, job, revision, !global.json));
    revision = status.revision;
    if (has_ended(status.summary.state)) return print_ended_job(std::move(status), global);
  }
}

Result<std::vector<std::string>> result_places(const std::vector<std::string>& names, const FetchOptions& options) {
  std::error_code error;
  const bool folder = fs::is_directory(options.output, error);
  if (!folder && names.size() > 1) {
    return fail(output_unwritable("{}: {} results need a folder; make it first", options.output, names.size()));
  }
  std::vector<std::string> out;
  for (const std::string& name : names) {
    // Whoever submitted the job chose that name: it says nothing about folders of ours.
    out.push_back(folder ? options.output + "/" + fs::path(name).filename().string() : options.output);
    KILN_TRY(check_place(out.back(), options.overwrite));
    if (is_output_pattern(name) && !folder) {
      return fail(output_unwritable("{}: a sequence of images needs a folder; make it first", options.output));
    }
  }
  return out;
}

Result<std::vector<std::string>> fetch_results(FarmLink& link, const net::JobStatus& status,
                                               const FetchOptions& options) {
  std::vector<std::string> names;
  for (const net::ClipStatus& clip : status.clips) names.push_back(clip.output);
  KILN_TRY_ASSIGN(std::vector<std::string> places, result_places(names, options));
  KILN_TRY_ASSIGN(net::Grants grants, link.ask_for<net::Grants>(net::AskGrants{options.job, false}));
  KILN_TRY_ASSIGN(BlobTransfer store, BlobTransfer::open(std::move(grants)));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const net::BlobRef& result = status.clips[i].result;
    KILN_TRY(is_output_pattern(names[i]) ? fetch_images(store, result, places[i]) : store.download(result, places[i]));
  }
  return places;
}

Result<int> fetch_command(FarmLink& link, const FetchOptions& options, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(const net::JobStatus status, ask_job_status(link, options.job, detail_of(global)));
  if (status.summary.state != net::JobState::kDone) {
    return fail(make_error(ErrorCode::kFailedPrecondition, "{}: is {}, there is no result to fetch yet{}{}", options.job,
                           to_string(status.summary.state), status.summary.reason.empty() ? "" : "; ",
                           status.summary.reason));
  }
  KILN_TRY_ASSIGN(const auto paths, fetch_results(link, status, options));
  for (const std::string& path : paths) {
    if (!global.json) fmt::print("{}\n", path);
  }
  if (global.json) fmt::print("{}\n", to_json(net::ClientReply{status}));
  return 0;
}

Result<int> logs_command(FarmLink& link, const LogsOptions& options, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(const net::TaskLogs logs, link.ask_for<net::TaskLogs>(net::GetLogs{options.task}));
  if (!global.json) fmt::print(stderr, "{}", log_table(logs));
  KILN_TRY_ASSIGN(const net::AttemptLog* chosen, chosen_attempt(logs, options));
  std::string text;
  if (chosen != nullptr) {
    KILN_TRY_ASSIGN(net::Grants grants, link.ask_for<net::Grants>(net::AskGrants{"logs", false}));
    KILN_TRY_ASSIGN(BlobTransfer store, BlobTransfer::open(std::move(grants)));
    KILN_TRY_ASSIGN(text, store.text(chosen->log, kLogBytesMax));
  }
  fmt::print("{}", global.json ? logs_json(logs, chosen, text) + "\n" : text);
  return 0;
}

}  // namespace kiln::cli
