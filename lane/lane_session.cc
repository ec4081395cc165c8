#include "lane/lane_session.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/log.h"
#include "base/wall_clock.h"
#include "cache_store/artifact_admission.h"
#include "lane/chores.h"
#include "lane/gpu/card.h"
#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/nvrtc.h"
#include "lane/media/clip_description.h"
#include "lane/media/source_input.h"
#include "lane/output_request.h"
#include "lane/pipelines/ending_encoders.h"
#include "net/lane_codec.h"
#include "sharding/package/package_tiling.h"

namespace kiln::lane {

std::uint64_t resident_bytes() {
  unsigned long long pages = 0;
  unsigned long long resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int read = std::fscanf(file, "%llu %llu", &pages, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<unsigned long long>(::sysconf(_SC_PAGESIZE)) : 0;
}

namespace {

std::vector<net::TensorSpec> wire_tensors(const std::vector<TensorSpec>& specs) {
  std::vector<net::TensorSpec> out;
  for (const auto& spec : specs) out.push_back({spec.dtype, spec.sizes, spec.strides});
  return out;
}

// [1, C, H, W] or [1, T, C, H, W].
Result<TileShape> frame_shape(const std::vector<cache::TensorSpec>& inputs) {
  if (inputs.empty()) return fail(make_error(ErrorCode::kDataLoss, "an artifact without inputs"));
  const auto& sizes = inputs.front().shape_max;
  if (inputs.front().shape_min != sizes) {
    return fail(make_error(ErrorCode::kDataLoss, "an artifact for a range of sizes, where one was asked for"));
  }
  if (sizes.size() == 4) return TileShape{1, sizes[2], sizes[3]};
  if (sizes.size() == 5) return TileShape{sizes[1], sizes[3], sizes[4]};
  return fail(make_error(ErrorCode::kDataLoss, "an artifact whose frames have {} dimensions", sizes.size()));
}

Result<std::string> admitted_kernels(const net::OfferKernels& offer, int sealed_fd, const std::string& arch) {
  KILN_TRY_ASSIGN(const Digest key, Digest::from_hex(offer.key));
  KILN_TRY_ASSIGN(const cache::TrustedKeys trusted, cache::TrustedKeys::parse(offer.trusted_keys));
  const auto manifest = cache::admit_kernels(offer.envelope, sealed_fd, key, arch, trusted, unix_seconds());
  if (!manifest) return fail(make_error(ErrorCode::kDataLoss, "{}: {}", key.hex(), manifest.error().message));
  KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(sealed_fd));
  return std::string(mapping.text());
}

}  // namespace

LaneSession::LaneSession(net::LocalChannel channel, Sharing sharing)
    : channel_(std::move(channel)),
      outbox_(channel_),
      share_(outbox_, sharing.make_device ? sharing.make_device : [this] { return open_transfer(set_up_.device); }, sharing.nccl) {
  chore_thread_ = std::thread([this] {
    while (auto chore = chores_.pop()) (*chore)();
  });
}

LaneSession::~LaneSession() {
  chores_.close();
  chore_thread_.join();
}

int LaneSession::run() {
  net::Hello hello;
  hello.pid = ::getpid();
  hello.isa = cpu_isa_level();
  outbox_.send(hello);
  std::thread receiver([this] { receive_all(); });
  int value = 0;
  while (!ending_ && value == 0) {
    auto incoming = incoming_.pop();
    if (!*incoming) {
      log::error("{}", incoming->error().message);
      value = exit_code(incoming->error());
    } else {
      handle((*incoming)->message, (*incoming)->descriptors);
    }
  }
  receiver.join();
  if (value == 0) pipeline_.reset();
  if (value == 0) shots_.reset();
  return value;
}

// Ends with what ends the session. Kernels are taken at once: a network that is being loaded waits for them.
void LaneSession::receive_all() {
  bool more = true;
  while (more) {
    auto incoming = receive();
    more = incoming && !std::holds_alternative<net::Shutdown>(incoming->message);
    const auto* kernels = incoming ? std::get_if<net::OfferKernels>(&incoming->message) : nullptr;
    // Who waits for weights hears these; whoever handles them later has only to look.
    if (const auto* id = incoming ? std::get_if<net::ShareId>(&incoming->message) : nullptr; id != nullptr) share_.hear(*id);
    if (const auto* over = incoming ? std::get_if<net::ShareOver>(&incoming->message) : nullptr; over != nullptr) share_.hear(*over);
    if (kernels != nullptr) {
      take_kernels(*kernels, incoming->descriptors);
    } else {
      incoming_.push(std::move(incoming));
    }
  }
}

Result<LaneSession::Incoming> LaneSession::receive() {
  auto received = channel_.receive();
  if (!received) return fail(received.error().with_context("the worker's socket"));
  // Nobody is left to take results: what runs is not worth an orderly end.
  if (!*received) ::_exit(0);
  auto message = net::decode_to_lane((*received)->bytes);
  if (!message) return fail(message.error().with_context("a message of the worker"));
  return Incoming{std::move(*message), std::move((*received)->descriptors)};
}

void LaneSession::handle(const net::ToLane& message, Descriptors& descriptors) {
  const Status status =
      std::visit([&](const auto& body) -> Status { return on_message(body, descriptors); }, message);
  if (!status) outbox_.send(net::Failed{{status.error(), "error"}});
}

Status LaneSession::on_message(const net::SetUp& message, Descriptors&) {
  set_up_ = message;
  reports_.expect_context(message.context_bytes);
  KILN_TRY_ASSIGN(trusted_, cache::TrustedKeys::parse(message.trusted_keys));
  MediaToolsSearch search;
  search.ffmpeg = message.ffmpeg;
  search.program_directory = program_directory();
  search.answers_folder = message.answers_folder;
  KILN_TRY_ASSIGN(tools_, find_media_tools(search));
  if (message.device != "cpu") {
    const auto get_ready = [this, device = message.device] {
      ask_for_kernels();
      return load_kernels_on(device, kernel_supply_);
    };
    kernels_ = std::async(std::launch::async, get_ready).share();
  }
  return {};
}

// Before the card is set up, which takes long enough for an answer. A lane sees one card.
void LaneSession::ask_for_kernels() {
  const auto driver = CudaDriver::open();
  const auto arch = driver ? (*driver)->arch_of_device(0) : fail(driver.error());
  if (!arch) return;  // whoever opens the card says what is wrong
  kernel_supply_.expect(*arch);
  outbox_.send(net::KernelsWanted{*arch, own_kernel_source().text, nvrtc_options()});
}

// On the receiver's thread.
void LaneSession::take_kernels(const net::OfferKernels& offer, const Descriptors& descriptors) {
  if (descriptors.size() != 1) return kernel_supply_.offer_none();
  auto image = admitted_kernels(offer, descriptors[0].get(), kernel_supply_.arch());
  if (image) return kernel_supply_.offer(std::move(*image));
  log::warn("the kernels that the store has are not taken: {}", image.error().message);
  kernel_supply_.offer_none();
}

// Without them the lane works all the same, and frames cross host memory.
std::shared_ptr<const KernelModule> LaneSession::own_kernels() const {
  if (!kernels_.valid()) return nullptr;
  const auto& loaded = kernels_.get();
  if (loaded) return *loaded;
  log::warn("frames are converted on the CPU: {}", loaded.error().message);
  return nullptr;
}

// Lanes of the CPU render more slowly than an encoder ends, and their host's memory is full of them.
PipelineOptions LaneSession::pipeline_options() const {
  PipelineOptions out;
  out.kernels = own_kernels();
  out.channels = static_cast<std::size_t>(std::max(set_up_.encoders, 1));
  out.ring_bytes = set_up_.ring_bytes;
  if (set_up_.device != "cpu") out.encoders_ending = kEncodersEndingMax;
  return out;
}

Status LaneSession::on_message(const net::LoadPackage& message, Descriptors& descriptors) {
  unload();  // also where the new one is refused
  if (descriptors.size() != message.graphs.size() + 1) {
    return fail(make_error(ErrorCode::kDataLoss, "{} graphs come with {} descriptors", message.graphs.size(),
                           descriptors.size()));
  }
  KILN_TRY_ASSIGN(manifest_, sharding::parse_package_manifest(message.manifest, "manifest.toml"));
  NetworkSource source;
  source.manifest = &manifest_;
  KILN_TRY_ASSIGN(source.dtype, sharding::graph_dtype_from_string(message.dtype));
  source.device = set_up_.device;
  source.threads = set_up_.threads;
  std::vector<Mapping> mappings;
  for (const UniqueFd& fd : descriptors) {
    KILN_TRY(require_sealed(fd.get()));
    KILN_TRY_ASSIGN(Mapping mapping, Mapping::map(fd.get()));
    mappings.push_back(std::move(mapping));
  }
  for (std::size_t i = 0; i < message.graphs.size(); ++i) {
    if (message.graphs[i] >= manifest_.graphs.size()) {
      return fail(make_error(ErrorCode::kDataLoss, "the package has no graph {}", message.graphs[i]));
    }
    source.graphs.push_back({manifest_.graphs[message.graphs[i]], mappings[i].bytes()});
  }
  source.weights = mappings.back().bytes();
  KILN_TRY_ASSIGN(net::PackageLoaded loaded, load_network(source, message.share));
  if (network_->threads() < source.threads) {
    log::info("this network runs with one thread, so that its bits are those of every lane; more lanes use more cores");
  }
  UpscaleCallbacks callbacks;
  callbacks.on_progress = [this](const SegmentRun& run) { report_progress(run); };
  callbacks.on_end = [this](const SegmentRun& run) { report_end(run); };
  pipeline_ = std::make_unique<UpscalePipeline>(*network_, tools_, std::move(callbacks), pipeline_options());

  if (message.tile_height > 0) {
    const TileShape shape{message.tile_frames, message.tile_height, message.tile_width};
    KILN_TRY_ASSIGN(const auto inputs, network_->input_specs(shape));
    KILN_TRY_ASSIGN(loaded.peak_activation_bytes, network_->peak_activation_bytes(shape));
    loaded.inputs = wire_tensors(inputs);
  }
  outbox_.send(loaded);
  return {};
}

void LaneSession::unload() {
  pipeline_.reset();  // it runs the network that goes
  network_.reset();
  shots_.reset();
}

Result<net::PackageLoaded> LaneSession::load_network(const NetworkSource& source, std::uint64_t share) {
  const auto begun = std::chrono::steady_clock::now();
  NetworkSource given = source;
  given.delivery = share_.way_for(share);
  auto network = Network::load(given);
  const WeightCounts counts = share_.counts();
  share_.end_load(network.has_value());
  KILN_TRY_ASSIGN(network_, std::move(network));
  net::PackageLoaded loaded;
  loaded.weights_bytes = network_->weights_bytes();
  loaded.weights_copied_bytes = given.delivery == nullptr ? loaded.weights_bytes : counts.copied_bytes;
  loaded.weights_received_bytes = given.delivery == nullptr ? 0 : counts.received_bytes;
  loaded.weights_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return loaded;
}

Status LaneSession::on_message(const net::OpenShare& message, Descriptors&) {
  share_.open(message);
  return {};
}

// What they say was heard by the receiver.
Status LaneSession::on_message(const net::ShareId&, Descriptors&) {
  share_.look();
  return {};
}

Status LaneSession::on_message(const net::ShareOver&, Descriptors&) {
  share_.look();
  return {};
}

Status LaneSession::on_message(const net::DefineClip& message, Descriptors& descriptors) {
  if (descriptors.size() != 1) return fail(make_error(ErrorCode::kDataLoss, "a clip without its description"));
  KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(descriptors[0].get()));
  KILN_TRY_ASSIGN(ClipInfo clip, decode_clip(mapping.text()));
  clip.source.location = message.location;
  clips_[message.clip] = std::make_shared<const ClipInfo>(std::move(clip));
  return {};
}

// Never fatal: an artifact that is not as it should be is refused, and the lane goes on uncompiled.
Status LaneSession::on_message(const net::OfferArtifact& message, Descriptors& descriptors) {
  if (descriptors.size() != 1) return fail(make_error(ErrorCode::kDataLoss, "an artifact without its library"));
  if (const Status status = bind(message, descriptors[0].get()); !status) {
    outbox_.send(net::ArtifactRefused{message.key, {status.error(), "artifact_mismatch"}});
    return {};
  }
  outbox_.send(net::ArtifactBound{message.key});
  if (pipeline_ != nullptr) pipeline_->artifact_arrived();
  return {};
}

Status LaneSession::bind(const net::OfferArtifact& offer, int sealed_fd) {
  if (network_ == nullptr) return fail(make_error(ErrorCode::kFailedPrecondition, "no package is loaded"));
  KILN_TRY_ASSIGN(const Digest key, Digest::from_hex(offer.key));
  if (!offer.trusted_keys.empty()) {
    KILN_TRY_ASSIGN(trusted_, cache::TrustedKeys::parse(offer.trusted_keys));
  }
  auto manifest = cache::admit_artifact(offer.envelope, sealed_fd, key, trusted_, unix_seconds());
  if (!manifest) {
    return fail(make_error(ErrorCode::kDataLoss, "artifact {}: {}", key.hex(), manifest.error().message));
  }
  ArtifactSpec spec;
  spec.isa = manifest->isa;
  spec.device = manifest->device_arch == "cpu" ? "cpu" : "cuda";
  spec.inputs = manifest->inputs;
  spec.outputs = manifest->outputs;
  spec.run_peak_bytes = manifest->run_peak_bytes;
  KILN_TRY_ASSIGN(spec.shape, frame_shape(spec.inputs));
  return network_->bind_artifact(spec, sealed_fd);
}

Status LaneSession::on_message(const net::ProbeTask& message, Descriptors&) {
  chores_.push([this, message] { outbox_.send(run_probe(tools_, message)); });
  return {};
}

Status LaneSession::on_message(const net::JoinTask& message, Descriptors&) {
  const auto found = clips_.find(message.clip);
  if (found == clips_.end()) return fail(make_error(ErrorCode::kNotFound, "clip {} is not known", message.clip.value));
  chores_.push([this, message, clip = found->second] {
    outbox_.send(run_join(tools_, *clip, message, encoder_threads(message.encoder_threads)));
  });
  return {};
}

Status LaneSession::on_message(const net::SegmentTask& message, Descriptors&) {
  const bool is_shot = message.shot.frames > 0;
  auto spec = is_shot ? plan_shot(message) : plan_segment(message);
  if (!spec) {
    outbox_.send(net::LaneTaskFailed{message.task, message.attempt, {spec.error(), "error"}});
    return {};
  }
  if (is_shot) {
    shots_->submit(std::move(*spec), message.shot);
  } else {
    pipeline_->submit(std::move(*spec));
  }
  return {};
}

Status LaneSession::on_message(const net::Cancel& message, Descriptors&) {
  if (pipeline_ != nullptr) pipeline_->cancel(message.task);
  if (shots_ != nullptr) shots_->cancel(message.task);
  return {};
}

Status LaneSession::on_message(const net::Shutdown&, Descriptors&) {
  ending_ = true;
  return {};
}

// The receiver keeps those for itself.
Status LaneSession::on_message(const net::OfferKernels&, Descriptors&) {
  return fail(make_error(ErrorCode::kInternal, "kernels in the wrong queue"));
}

Result<SegmentSpec> LaneSession::begin_spec(const net::SegmentTask& task) const {
  const auto found = clips_.find(task.clip);
  if (found == clips_.end()) return fail(make_error(ErrorCode::kNotFound, "clip {} is not known", task.clip.value));
  SegmentSpec spec;
  spec.task = task.task;
  spec.attempt = task.attempt;
  spec.clip = found->second;
  spec.path = task.path;
  return spec;
}

Result<SegmentSpec> LaneSession::plan_segment(const net::SegmentTask& task) const {
  if (pipeline_ == nullptr) return fail(make_error(ErrorCode::kFailedPrecondition, "no package is loaded"));
  KILN_TRY_ASSIGN(SegmentSpec spec, begin_spec(task));
  spec.range = {task.first, task.last, manifest_.frames_before, manifest_.frames_after, spec.clip->frame_count()};
  if (task.first < 0 || task.first >= task.last || task.last > spec.clip->frame_count()) {
    return fail(make_error(ErrorCode::kOutOfRange, "frames {} to {} of a clip with {}", task.first, task.last,
                           spec.clip->frame_count()));
  }
  spec.tile = {manifest_.frames(), task.tile_height, task.tile_width};
  const sharding::TileShape tile{static_cast<int>(task.tile_height), static_cast<int>(task.tile_width)};
  spec.windows = sharding::tile_windows(spec.clip->height, spec.clip->width, tile, sharding::tiling_rules(manifest_));
  spec.model_scale = static_cast<int>(manifest_.scale);
  KILN_TRY_ASSIGN(spec.executor, executor_choice_from_string(task.executor));
  KILN_TRY_ASSIGN(spec.settings, plan_output(task, *spec.clip));
  return spec;
}

Result<EncoderSettings> LaneSession::plan_output(const net::SegmentTask& task, const ClipInfo& clip) const {
  OutputWish wish{task.codec,        task.output, task.pixel_format, task.output_width,
                  task.output_height, task.quality,   task.preset,       encoder_threads(task.encoder_threads),
                  task.encoder};
  KILN_TRY_ASSIGN(const OutputRequest request, make_output_request(clip, wish));
  return plan_encoder(tools_, clip, request);
}

void LaneSession::report_progress(const SegmentRun& run) {
  outbox_.send(net::Progress{run.spec.task, run.spec.attempt, run.frames_done.load(), run.frames_compiled.load(),
                             resident_bytes()});
}

// After some errors a context answers every call with the same one: only a new process can use the card again. The worker
// sees the lane die, and starts another.
void LaneSession::end_if_card_is_lost() const {
  if (network_ == nullptr || network_->device() == "cpu") return;
  const Status well = check_card(network_->device());
  if (well) return;
  log::error("the card is lost, the lane ends: {}", well.error().message);
  ::_exit(static_cast<int>(ExitCode::kFailed));
}

void LaneSession::report_end(const SegmentRun& run) {
  const SegmentSpec& spec = run.spec;
  if (run.failed()) {
    end_if_card_is_lost();
    Error error = run.error();
    error.message = without_location(std::move(error.message), spec.clip->source);
    outbox_.send(net::LaneTaskFailed{spec.task, spec.attempt, {error, run.failure_class()}});
    return;
  }
  outbox_.send(reports_.done(run, *network_));
}

}  // namespace kiln::lane
