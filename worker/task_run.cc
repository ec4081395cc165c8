#include "worker/task_run.h"

#include <filesystem>

namespace kiln::worker {
namespace {

// A job's name for its output must not lead anywhere: its last part says what is to be known of it.
std::string leaf_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

TaskRun::TaskRun(const TaskPlace& place, LaneId where, net::Assign what)
    : assign(std::move(what)),
      slot(where),
      folder(fmt::format("{}/{}-{}", place.work_folder, assign.task, assign.attempt.value)) {}

TaskRun::~TaskRun() {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
}

Status TaskRun::make_folder() const {
  std::error_code error;
  std::filesystem::remove_all(folder, error);  // of a run whose lane died
  return make_directories(posix_file_system(), output_folder(), 0700);
}

std::string TaskRun::output_path() const {
  const auto* spec = std::get_if<net::JoinSpec>(&assign.spec);
  return fmt::format("{}/{}", output_folder(), leaf_of(spec == nullptr ? std::string("output") : spec->output.file_name));
}

net::ProbeTask probe_task(const TaskRun& run) {
  const auto& spec = std::get<net::ProbeSpec>(run.assign.spec);
  net::ProbeTask out;
  out.task.value = run.assign.task;
  out.source = spec.source.path;
  out.location = run.files.location;
  out.output = leaf_of(spec.output.file_name);
  out.codec = spec.output.codec;
  out.scale = spec.output.scale;
  out.shot = spec.source.shot;
  if (run.files.package) out.network_scale = run.files.package->manifest.scale;
  out.deinterlace = spec.output.deinterlace;
  out.frame_rate = spec.output.frame_rate;
  out.pixel_format = spec.output.pixel_format;
  return out;
}

net::SegmentTask segment_task(const TaskRun& run, ClipId clip) {
  const auto& spec = std::get<net::SegmentSpec>(run.assign.spec);
  net::SegmentTask out;
  out.task.value = run.assign.task;
  out.attempt = run.assign.attempt;
  out.clip = clip;
  out.first = spec.first;
  out.last = spec.last;
  out.path = run.segment_path();
  out.tile_height = spec.tile_height;
  out.tile_width = spec.tile_width;
  out.output_width = spec.output_width;
  out.output_height = spec.output_height;
  out.codec = spec.output.codec;
  out.quality = spec.output.quality;
  out.preset = spec.output.preset;
  out.pixel_format = spec.output_pixel_format;
  out.executor = spec.executor;
  out.output = leaf_of(spec.output.file_name);
  out.encoder_threads = spec.encoder_threads;
  out.encoder = spec.output.encoder;
  out.shot = spec.source.shot;
  return out;
}

net::JoinTask join_task(const TaskRun& run, ClipId clip) {
  const auto& spec = std::get<net::JoinSpec>(run.assign.spec);
  net::JoinTask out;
  out.task.value = run.assign.task;
  out.clip = clip;
  for (std::size_t i = 0; i < spec.segments.size(); ++i) {
    out.segments.push_back(run.files.segments[i]->path());
    out.frame_counts.push_back(spec.segments[i].frames);
  }
  out.path = run.output_path();
  out.codec = spec.output.codec;
  out.output = leaf_of(spec.output.file_name);
  out.output_width = spec.output_width;
  out.output_height = spec.output_height;
  out.quality = spec.output.quality;
  out.preset = spec.output.preset;
  out.pixel_format = spec.output_pixel_format;
  out.encoder_threads = spec.encoder_threads;
  out.encoder = spec.output.encoder;
  return out;
}

}  // namespace kiln::worker
