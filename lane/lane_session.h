// A lane's conversation with its worker: one thread receives, one keeps what was defined; the pipeline
// renders segments, another thread probes and joins.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/sealed_file.h"
#include "cache_store/trusted_keys.h"
#include "lane/engine/network.h"
#include "lane/gpu/kernel_supply.h"
#include "lane/lane_share.h"
#include "lane/media/media_tools.h"
#include "lane/outbox.h"
#include "lane/pipelines/shot_pipeline.h"
#include "lane/pipelines/upscale_pipeline.h"
#include "lane/segment_report.h"
#include "net/local_channel.h"
#include "sharding/package/package_manifest.h"

namespace kiln::lane {

// Probes and joins that wait; a worker sends few.
inline constexpr std::size_t kChoresMax = 1024;
// Messages that were received and not handled yet; then the worker's socket fills up.
inline constexpr std::size_t kIncomingMax = 64;

class LaneSession {
 public:
  // What weights are moved with, and by which library, where it is not the lane's card and torch's NCCL.
  struct Sharing {
    LaneShare::DeviceMaker make_device;
    std::string nccl;
  };
  explicit LaneSession(net::LocalChannel channel) : LaneSession(std::move(channel), Sharing{}) {}
  LaneSession(net::LocalChannel channel, Sharing sharing);
  ~LaneSession();
  // Until the worker says so or closes the socket. The value is main's.
  [[nodiscard]] int run();

 private:
  using Descriptors = std::vector<UniqueFd>;
  struct Incoming {
    net::ToLane message;
    Descriptors descriptors;
  };
  void receive_all();  // the receiver's
  [[nodiscard]] Result<Incoming> receive();
  void take_kernels(const net::OfferKernels& offer, const Descriptors& descriptors);
  void handle(const net::ToLane& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::SetUp& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::LoadPackage& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::LoadGenerator& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::DefineClip& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::OfferArtifact& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::ProbeTask& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::SegmentTask& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::JoinTask& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::Cancel& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::Shutdown& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::OfferKernels& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::OpenShare& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::ShareId& message, Descriptors& descriptors);
  [[nodiscard]] Status on_message(const net::ShareOver& message, Descriptors& descriptors);

  [[nodiscard]] Result<net::PackageLoaded> load_network(const NetworkSource& source, std::uint64_t share);
  [[nodiscard]] Result<SegmentSpec> plan_segment(const net::SegmentTask& task) const;
  // What the task says whatever its frames come from.
  [[nodiscard]] Result<SegmentSpec> begin_spec(const net::SegmentTask& task) const;
  [[nodiscard]] Status bind(const net::OfferArtifact& offer, int sealed_fd);
  // Of a shot (lane_session_shots.cc).
  [[nodiscard]] Result<SegmentSpec> plan_shot(const net::SegmentTask& task) const;
  [[nodiscard]] Result<EncoderSettings> plan_output(const net::SegmentTask& task, const ClipInfo& clip) const;
  void report_shot(const SegmentRun& run, const net::StageProgress& stage);
  void report_shot_end(const SegmentRun& run);
  void unload();  // nothing is rendered, and no artifact bound, with what is left of two packages

  void report_progress(const SegmentRun& run);
  void report_end(const SegmentRun& run);
  void ask_for_kernels();
  [[nodiscard]] std::shared_ptr<const KernelModule> own_kernels() const;
  [[nodiscard]] PipelineOptions pipeline_options() const;
  void end_if_card_is_lost() const;

  net::LocalChannel channel_;
  Outbox outbox_;
  LaneShare share_;
  bool ending_ = false;
  // As a task says, else those of the set-up.
  [[nodiscard]] int encoder_threads(int asked) const { return asked > 0 ? asked : set_up_.encoder_threads; }

  net::SetUp set_up_;
  MediaTools tools_;
  cache::TrustedKeys trusted_;
  sharding::PackageManifest manifest_;
  std::map<ClipId, std::shared_ptr<const ClipInfo>> clips_;
  KernelSupply kernel_supply_;
  // Of a lane on a card; got ready while packages are still on their way.
  std::shared_future<Result<std::shared_ptr<const KernelModule>>> kernels_;
  SegmentReports reports_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<UpscalePipeline> pipeline_;  // after network_: it ends first
  std::unique_ptr<ShotPipeline> shots_;  // in place of the two
  BoundedQueue<Result<Incoming>> incoming_{kIncomingMax};
  BoundedQueue<std::function<void()>> chores_{kChoresMax};
  std::thread chore_thread_;
};

}  // namespace kiln::lane
