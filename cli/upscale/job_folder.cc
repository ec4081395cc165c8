#include "cli/upscale/job_folder.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/log.h"
#include "base/sha256.h"
#include "cli/upscale/job_records.h"

namespace kiln::cli {
namespace {

constexpr std::size_t kFolderDigits = 16;
constexpr std::uint64_t kRecordBytesMax = 64ULL << 20U;
constexpr std::string_view kPlanName = "plan.json";
constexpr std::string_view kOutcomeName = "done.json";
constexpr std::string_view kRecordSuffix = ".json";

std::string record_name(std::int64_t segment) { return fmt::format("{:06}.json", segment); }

bool is_record(const std::string& name) {
  return name != kPlanName && name != kOutcomeName && name.ends_with(kRecordSuffix);
}

Status forget(const Status& removed) {
  if (!removed && removed.error().code != ErrorCode::kNotFound) return removed;
  return {};
}

}  // namespace

Result<JobFolder> JobFolder::open(FileSystem& files, const std::string& state, const std::string& identity) {
  JobFolder folder(files, state + "/jobs/" + identity.substr(0, kFolderDigits));
  KILN_TRY(make_directories(files, folder.path_));
  return folder;
}

Result<bool> JobFolder::load_plan(JobPlan& plan) const {
  auto text = read_file(path_ + "/" + std::string(kPlanName), kRecordBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return false;
  if (!text) return fail(text.error());
  auto decoded = decode_plan(*text);
  if (!decoded) {
    log::warn("{}: {}; the job starts over", path_, decoded.error().message);
    return false;
  }
  plan = std::move(*decoded);
  return true;
}

Status JobFolder::begin(const JobPlan& plan) const {
  KILN_TRY(remove_all_but(""));
  return write_durably(std::string(kPlanName), encode_plan(plan));
}

Result<std::vector<SegmentRecord>> JobFolder::load_segments() const {
  std::vector<SegmentRecord> records;
  KILN_TRY_ASSIGN(const auto names, files_->list(path_));
  for (const std::string& name : names) {
    if (!is_record(name)) continue;
    KILN_TRY_ASSIGN(const std::string text, read_file(path_ + "/" + name, kRecordBytesMax));
    auto record = decode_record(text);
    if (!record) {
      log::warn("{}/{}: {}; the segment is rendered again", path_, name, record.error().message);
      continue;
    }
    const auto file = files_->open_for_read(segment_path(record->segment));
    const auto hash = file ? sha256_of_fd(file->get()) : Result<Digest>(fail(file.error()));
    if (!hash || hash->hex() != record->file_sha256) {
      log::warn("{}: not as it was written; the segment is rendered again", segment_path(record->segment));
      continue;
    }
    records.push_back(std::move(*record));
  }
  return records;
}

std::string JobFolder::part_path(std::int64_t segment, std::uint32_t attempt) const {
  return fmt::format("{}/{:06}.{}.part", path_, segment, attempt);
}

std::string JobFolder::segment_path(std::int64_t segment) const {
  return fmt::format("{}/{:06}.segment", path_, segment);
}

// The file first, then the record that vouches for it: a crash in between costs one segment, never a
// wrong one.
Status JobFolder::finish_segment(SegmentRecord& record, const std::string& part) const {
  KILN_TRY(files_->sync_file(part));
  {
    KILN_TRY_ASSIGN(const UniqueFd fd, files_->open_for_read(part));
    KILN_TRY_ASSIGN(const Digest digest, sha256_of_fd(fd.get()));
    record.file_sha256 = digest.hex();
  }
  KILN_TRY_ASSIGN(const FileInfo info, files_->stat(part));
  record.file_bytes = info.size_bytes;
  KILN_TRY(files_->rename(part, segment_path(record.segment)));
  KILN_TRY(files_->sync_directory(path_));
  return write_durably(record_name(record.segment), encode_record(record));
}

Status JobFolder::write_durably(const std::string& name, const std::string& text) const {
  const std::string temporary = path_ + "/" + random_temp_name();
  KILN_TRY_ASSIGN(auto file, files_->create_exclusive(temporary, 0644));
  KILN_TRY(file->append(std::as_bytes(std::span(text))));
  KILN_TRY(file->sync());
  KILN_TRY(file->close());
  KILN_TRY(files_->rename(temporary, path_ + "/" + name));
  return files_->sync_directory(path_);
}

Status JobFolder::record_outcome(const std::string& outcome) const {
  return write_durably(std::string(kOutcomeName), outcome);
}

Status JobFolder::drop_segments() const { return remove_all_but(kOutcomeName); }

std::string JobFolder::load_outcome() const {
  return read_file(path_ + "/" + std::string(kOutcomeName), kRecordBytesMax).value_or("");
}

Status JobFolder::remove_all_but(std::string_view kept) const {
  KILN_TRY_ASSIGN(const auto names, files_->list(path_));
  for (const std::string& name : names) {
    if (name != kept) KILN_TRY(forget(files_->remove_file(path_ + "/" + name)));
  }
  return {};
}

void JobFolder::remove() const {
  if (auto status = remove_all_but(""); !status) log::warn("{}", status.error().message);
  std::error_code error;
  std::filesystem::remove(path_, error);  // an empty folder that stays harms nobody
}

}  // namespace kiln::cli
