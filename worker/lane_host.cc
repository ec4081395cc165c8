#include "worker/lane_host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cache_store/trusted_keys.h"
#include "worker/process_memory.h"

namespace kiln::worker {
namespace {

std::uint64_t size_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

}  // namespace

LaneHost::LaneHost(LaneId id, LaneHostOptions options)
    : id_(id),
      options_(std::move(options)),
      planned_ring_bytes_(options_.place.ring_bytes),
      log_path_(fmt::format("{}/lane-{}.log", options_.log_folder, id.value)) {}

Status LaneHost::start() {
  forget();
  if (!log_.valid()) {
    log_.reset(::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log_.valid()) return fail(errno_error(errno, log_path_));
  }
  LaneStart start = options_.start;
  start.stderr_fd = log_.get();
  start.nice = options_.place.device == "cpu" ? kLaneNice : 0;  // who feeds a card must not wait
  start.card_uuid = options_.place.card_uuid;
  start.cores = options_.place.cores;
  start.memory_fraction = options_.place.memory_fraction;
  KILN_TRY_ASSIGN(process_, LaneProcess::start(id_, start));
  net::SetUp set_up;
  set_up.lane = id_;
  set_up.threads = options_.place.threads;
  set_up.device = options_.place.device;
  set_up.ffmpeg = options_.ffmpeg;
  set_up.answers_folder = options_.answers_folder;
  set_up.encoder_threads = options_.place.encoder_threads;
  set_up.encoders = options_.place.encoders;
  set_up.ring_bytes = options_.place.ring_bytes;
  set_up.context_bytes = options_.place.context_bytes;
  set_up.trusted_keys = cache::TrustedKeys{}.to_text();  // each artifact comes with those of its day
  return send(set_up);
}

void LaneHost::forget() {
  process_.reset();
  package_.reset();
  generator_.reset();
  clips_.clear();
  clips_defined_ = 0;
  offered_.clear();
  loading_ = false;
  proven_ = false;
  cpu_ticks_ = 0;
}

void LaneHost::unload() {
  package_.reset();
  generator_.reset();
  offered_.clear();
  loading_ = false;
}

void LaneHost::kill() {
  if (process_) process_->kill();
  forget();
}

ExitStatus LaneHost::bury() {
  const ExitStatus status = process_->stop(kDyingLaneDeadline);
  forget();
  return status;
}

Result<LaneArrival> LaneHost::receive() { return process_->receive(); }

Status LaneHost::send(const net::ToLane& message, const std::vector<int>& descriptors) {
  if (!process_) return fail(make_error(ErrorCode::kUnavailable, "lane {} is not running", id_.value));
  return process_->send(message, descriptors);
}

Status LaneHost::use_package(std::shared_ptr<const ModelPackage> package, sharding::GraphDtype dtype,
                             std::uint64_t share) {
  if (package_ && package_->digest == package->digest && dtype_ == dtype) return {};
  net::LoadPackage load;
  load.manifest = package->manifest_text;
  load.dtype = sharding::to_string(dtype);
  load.share = share;
  std::vector<int> descriptors;
  for (const ModelPackage::Graph* graph : package->graphs_of(dtype)) {
    load.graphs.push_back(graph->index);
    descriptors.push_back(graph->pt2.get());
  }
  descriptors.push_back(package->weights.get());
  KILN_TRY(send(load, descriptors));
  package_ = std::move(package);
  generator_.reset();
  dtype_ = dtype;
  offered_.clear();
  loading_ = true;
  return {};
}

Status LaneHost::use_generator(std::shared_ptr<const GeneratorFiles> files, sharding::GraphDtype dtype) {
  if (generator_ && generator_->digest == files->digest && dtype_ == dtype) return {};
  net::LoadGenerator load;
  load.manifest = files->manifest_text;
  load.dtype = sharding::to_string(dtype);
  std::vector<int> descriptors;
  for (const auto* shelf : {&files->parts, &files->weights}) {
    for (const GeneratorFiles::File& file : *shelf) {
      if (!files->is_for(file.name, dtype)) continue;  // a message holds few descriptors
      load.files.push_back(file.name);
      descriptors.push_back(file.fd.get());
    }
  }
  KILN_TRY(send(load, descriptors));
  generator_ = std::move(files);
  package_.reset();
  dtype_ = dtype;
  offered_.clear();
  loading_ = true;
  return {};
}

bool LaneHost::has_loaded(const std::string& weights) const {
  return package_ && fmt::format("{}/{}", package_->digest.hex(), sharding::to_string(dtype_)) == weights;
}

Result<ClipId> LaneHost::use_clip(const LaneClip& clip, int description_fd) {
  if (const auto known = clips_.find(clip); known != clips_.end()) return known->second;
  const ClipId id{clips_defined_++ % kClipsPerLane};
  clips_let_go_ += std::erase_if(clips_, [&](const auto& entry) { return entry.second == id; });
  KILN_TRY(send(net::DefineClip{id, clip.source}, {description_fd}));
  clips_[clip] = id;
  return id;
}

Status LaneHost::offer(const ReadyArtifact& artifact, const std::string& trusted_keys) {
  if (offered_.contains(artifact.key.digest)) return {};
  KILN_TRY(send(net::OfferArtifact{artifact.key.hex(), artifact.envelope, trusted_keys}, {artifact.content.get()}));
  offered_.insert(artifact.key.digest);
  return {};
}

Status LaneHost::offer_kernels(const ReadyArtifact* kernels, const std::string& trusted_keys) {
  if (kernels == nullptr) return send(net::OfferKernels{});
  return send(net::OfferKernels{kernels->key.hex(), kernels->envelope, trusted_keys}, {kernels->content.get()});
}

bool LaneHost::has_worked() {
  const std::uint64_t before = std::exchange(cpu_ticks_, cpu_ticks_of_tree(pid()));
  return cpu_ticks_ != before;
}

void LaneHost::begin_log(bool was_idle) {
  if (was_idle && size_of(log_.get()) > kLaneLogBytesMax) {
    ++logs_emptied_;
    if (::ftruncate(log_.get(), 0) != 0) log_.reset();
  }
  log_begin_ = log_.valid() ? size_of(log_.get()) : 0;
}

LogTail read_log(const std::string& path, std::uint64_t begin, std::uint64_t bytes_max) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  const std::uint64_t end = size_of(fd.get());
  if (end <= begin) return {};
  const bool cut = end - begin > bytes_max;
  const std::uint64_t from = cut ? end - bytes_max : begin;
  if (::lseek(fd.get(), static_cast<off_t>(from), SEEK_SET) < 0) return {};
  std::string text(end - from, '\0');
  const auto read = read_fully(fd.get(), std::as_writable_bytes(std::span(text)));
  text.resize(read ? *read : 0);
  if (cut) text.erase(0, text.find('\n') + 1);
  const std::uint64_t cut_bytes = cut ? end - begin - text.size() : 0;
  return {std::move(text), cut_bytes};
}

}  // namespace kiln::worker
