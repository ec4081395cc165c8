// The part of UpscaleSession that asks for artifacts, hands them to lanes, and waits for late ones.
#include "base/log.h"
#include "base/text.h"
#include "cli/upscale/upscale_session.h"
#include "sharding/package/package_inputs.h"

namespace kiln::cli {
namespace {

double compile_seconds(const worker::ReadyArtifact& artifact) {
  constexpr double kMicrosPerSecond = 1e6;
  return static_cast<double>(artifact.manifest.compile_us) / kMicrosPerSecond;
}

}  // namespace

void UpscaleSession::request_artifact(ClipJob& clip) {
  const bool insists = options_.config.executor == "compiled";
  if (host_.builder == nullptr) {
    if (insists) fail_job(host_.no_compiling->with_context("--executor compiled"));
    return;
  }
  const auto shaped_index = clip.tiles.graph_index;
  worker::ArtifactRequest request;
  request.pt2_fd = package_.graphs[shaped_index].pt2.get();
  request.origin = package_.path;
  request.inputs = sharding::package_inputs(package_.manifest, sharding::GraphDtype::kFloat32,
                                            clip.tiles.shape.height, clip.tiles.shape.width);
  auto key = host_.builder->request(request);
  if (key) {
    clip.artifact_key = *key;
    awaited_.insert(*key);
  } else if (insists) {
    fail_job(key.error());
  } else {
    log::warn("no artifact: {}", key.error().message);
  }
}

void UpscaleSession::on_artifacts() {
  for (const worker::ArtifactOutcome& outcome : host_.builder->take()) {
    count(outcome);
    if (rendered_) {
      on_late_artifact(outcome);
    } else if (outcome.artifact) {
      lanes_->offer_artifact(*outcome.artifact);
    } else if (options_.config.executor == "compiled") {
      fail_job(outcome.artifact.error());
    } else {
      progress_.say("no artifact, frames stay uncompiled: " + outcome.artifact.error().message);
    }
  }
}

void UpscaleSession::count(const worker::ArtifactOutcome& outcome) {
  awaited_.erase(outcome.key);
  if (!outcome.artifact) {
    ++report_.compile_failures;
  } else if ((*outcome.artifact)->source == worker::ArtifactSource::kStore) {
    ++report_.store_hits;
  } else {
    ++report_.compiles;
    report_.compile_s += compile_seconds(**outcome.artifact);
  }
}

void UpscaleSession::on_late_artifact(const worker::ArtifactOutcome& outcome) {
  if (outcome.artifact) {
    progress_.say(fmt::format("The artifact is published, compiled in {}.",
                              format_seconds(compile_seconds(**outcome.artifact))));
  } else {
    progress_.say("No artifact was made: " + outcome.artifact.error().message);
  }
}

Status UpscaleSession::wait_for_compiles() {
  if (awaited_.empty()) return {};
  lanes_->stop_all();
  progress_.say("The video is done. Finishing the compiled artifact for next time (Ctrl-C twice to leave it).");
  interrupts_ = 0;
  while (!awaited_.empty() && interrupts_ < 2) KILN_TRY(turn());
  if (!awaited_.empty()) progress_.say("The artifact is left; the next run that has a use for it compiles it.");
  host_.builder->cancel_pending();
  return {};
}

}  // namespace kiln::cli
