// Each bound, one step beyond: the message is refused, and the error names the field.
#include <gtest/gtest.h>

#include <cmath>

#include <functional>
#include <limits>

#include "net/kiln.pb.h"
#include "net/farm_codec.h"
#include "tests/net/farm/filled.h"

namespace kiln::net {
namespace {

struct BoundCase {
  std::string name;
  std::string field;
  std::function<void(farm::JobRequest&)> break_job;
};

void PrintTo(const BoundCase& test, std::ostream* out) { *out << test.name; }

// As a client would send it, so that nothing is put right on the way.
farm::Envelope a_submission() {
  FarmMessage message;
  JobRequest request;
  test::Filler(5).fill(request);
  message.body = ClientRequest(Submit{request});
  farm::Envelope envelope;
  EXPECT_TRUE(envelope.ParseFromString(encode(message)));
  return envelope;
}

class FarmBoundTest : public ::testing::TestWithParam<BoundCase> {};

TEST_P(FarmBoundTest, BeyondIsRefusedAndTheFieldIsNamed) {
  farm::Envelope envelope = a_submission();
  ASSERT_TRUE(decode_farm_message(envelope.SerializeAsString()));
  GetParam().break_job(*envelope.mutable_request_body()->mutable_submit()->mutable_request());
  const auto message = decode_farm_message(envelope.SerializeAsString());
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ErrorCode::kDataLoss);
  EXPECT_TRUE(message.error().message.starts_with("farm message: " + GetParam().field + " "))
      << message.error().message;
  EXPECT_EQ(message.error().message.find('\n'), std::string::npos);
}

template <typename List>
void repeat(List& list, std::size_t count, const typename List::value_type& item) {
  while (static_cast<std::size_t>(list.size()) < count) *list.Add() = item;
}

auto& files(farm::JobRequest& job) { return *job.mutable_package()->mutable_files(); }
farm::PackageFile& a_file(farm::JobRequest& job) { return *job.mutable_package()->mutable_files(0); }
farm::ClipSource& a_source(farm::JobRequest& job) { return *job.mutable_clips(0)->mutable_source(); }
farm::OutputSettings& an_output(farm::JobRequest& job) { return *job.mutable_clips(0)->mutable_output(); }

INSTANTIATE_TEST_SUITE_P(
    Job, FarmBoundTest,
    ::testing::Values(
        BoundCase{"NoName", "JobRequest.job", [](auto& job) { job.clear_job(); }},
        BoundCase{"LongName", "JobRequest.job", [](auto& job) { job.set_job(std::string(kNameBytesMax + 1, 'a')); }},
        BoundCase{"NameWithSlash", "JobRequest.job", [](auto& job) { job.set_job("a/b"); }},
        BoundCase{"NameWithCapital", "JobRequest.job", [](auto& job) { job.set_job("Job"); }},
        BoundCase{"LongTitle", "JobRequest.title",
                  [](auto& job) { job.set_title(std::string(kTextBytesMax + 1, 'a')); }},
        BoundCase{"TitleOfTwoLines", "JobRequest.title", [](auto& job) { job.set_title("a\nb"); }},
        BoundCase{"TitleWithEscape", "JobRequest.title", [](auto& job) { job.set_title("\x1b[2J"); }},
        BoundCase{"LongOwner", "JobRequest.owner",
                  [](auto& job) { job.set_owner(std::string(kLabelBytesMax + 1, 'a')); }},
        BoundCase{"LongPool", "JobRequest.pool",
                  [](auto& job) { job.set_pool(std::string(kLabelBytesMax + 1, 'a')); }},
        BoundCase{"HighPriority", "JobRequest.priority", [](auto& job) { job.set_priority(kPriorityMax + 1); }},
        BoundCase{"LowPriority", "JobRequest.priority", [](auto& job) { job.set_priority(-kPriorityMax - 1); }},
        BoundCase{"NoKind", "JobRequest.kind", [](auto& job) { job.clear_kind(); }},
        BoundCase{"NoExecutor", "JobRequest.executor", [](auto& job) { job.clear_executor(); }},
        BoundCase{"OtherExecutor", "JobRequest.executor", [](auto& job) { job.set_executor("eager"); }},
        BoundCase{"OtherNumerics", "JobRequest.numerics", [](auto& job) { job.set_numerics("loose"); }},
        BoundCase{"OtherPrecision", "JobRequest.precision", [](auto& job) { job.set_precision("fp8"); }},
        BoundCase{"ModeWithSpace", "CompileSettings.mode", [](auto& job) { job.mutable_compile()->set_mode("max autotune"); }},
        BoundCase{"LongBackend", "CompileSettings.backend",
                  [](auto& job) { job.mutable_compile()->set_backend(std::string(kWordBytesMax + 1, 'a')); }},
        BoundCase{"ManyArtifacts", "CompileSettings.dynamo_cache_size_limit",
                  [](auto& job) { job.mutable_compile()->set_dynamo_cache_size_limit(kCompileLimitMax + 1); }},
        BoundCase{"ManyShapes", "CompileSettings.dynamo_recompile_limit",
                  [](auto& job) { job.mutable_compile()->set_dynamo_recompile_limit(kCompileLimitMax + 1); }},
        BoundCase{"NegativeSegment", "JobRequest.segment_frames", [](auto& job) { job.set_segment_frames(-1); }},
        BoundCase{"LongSegment", "JobRequest.segment_frames",
                  [](auto& job) { job.set_segment_frames(kFramesMax + 1); }},
        BoundCase{"ManyNoops", "JobRequest.noop_tasks", [](auto& job) { job.set_noop_tasks(kNoopTasksMax + 1); }},
        BoundCase{"NegativeNoops", "JobRequest.noop_tasks", [](auto& job) { job.set_noop_tasks(-1); }},
        BoundCase{"ManyDependencies", "JobRequest.depends_on",
                  [](auto& job) { repeat(*job.mutable_depends_on(), kDependenciesMax + 1, std::string("a")); }},
        BoundCase{"DependencyOnNothing", "JobRequest.depends_on", [](auto& job) { job.add_depends_on(""); }},
        BoundCase{"ManyVariants", "JobRequest.variants",
                  [](auto& job) { repeat(*job.mutable_variants(), kVariantsMax + 1, farm::Variant()); }},
        BoundCase{"HugeVariant", "Variant.budget_bytes_max",
                  [](auto& job) { job.mutable_variants(0)->set_budget_bytes_max(kBytesMax + 1); }},
        BoundCase{"LargeManifest", "JobRequest.manifest",
                  [](auto& job) { job.set_manifest(std::string(kManifestBytesMax + 1, 'a')); }},
        BoundCase{"ManyClips", "JobRequest.clips",
                  [](auto& job) { repeat(*job.mutable_clips(), kClipsMax + 1, farm::ClipRequest(job.clips(0))); }}));

farm::Shot& a_shot(farm::JobRequest& job) { return *a_source(job).mutable_shot(); }

INSTANTIATE_TEST_SUITE_P(
    Shots, FarmBoundTest,
    ::testing::Values(
        BoundCase{"LongPrompt", "Shot.prompt", [](auto& job) { a_shot(job).set_prompt(std::string(kPromptBytesMax + 1, 'a')); }},
        BoundCase{"LongNegativePrompt", "Shot.negative_prompt",
                  [](auto& job) { a_shot(job).set_negative_prompt(std::string(kPromptBytesMax + 1, 'a')); }},
        BoundCase{"NegativeWidth", "Shot.width", [](auto& job) { a_shot(job).set_width(-16); }},
        BoundCase{"NoFrames", "Shot.frames", [](auto& job) { a_shot(job).set_frames(0); }},
        BoundCase{"ManyFrames", "Shot.frames", [](auto& job) { a_shot(job).set_frames(kFramesMax + 1); }},
        BoundCase{"ManySteps", "Shot.steps", [](auto& job) { a_shot(job).set_steps(kStepsMax + 1); }},
        BoundCase{"HugeGuidance", "Shot.guidance", [](auto& job) { a_shot(job).set_guidance(kGuidanceMax * 2); }},
        BoundCase{"NegativeGuidance", "Shot.low_noise_guidance", [](auto& job) { a_shot(job).set_low_noise_guidance(-1.0); }},
        BoundCase{"ShiftWithoutNumber", "Shot.shift", [](auto& job) { a_shot(job).set_shift(std::nan("")); }},
        BoundCase{"OtherSolver", "Shot.solver", [](auto& job) { a_shot(job).set_solver("dpm"); }},
        BoundCase{"RelativePlace", "PackageFile.place", [](auto& job) { a_file(job).set_place("weights/a"); }}));

INSTANTIATE_TEST_SUITE_P(
    Files, FarmBoundTest,
    ::testing::Values(
        BoundCase{"ManyFiles", "PackageRef.files",
                  [](auto& job) { repeat(files(job), kPackageFilesMax + 1, farm::PackageFile(a_file(job))); }},
        BoundCase{"AbsoluteFile", "PackageFile.path",
                  [](auto& job) { a_file(job).set_path("/etc/passwd"); }},
        BoundCase{"FileAbove", "PackageFile.path",
                  [](auto& job) { a_file(job).set_path("graphs/../../x"); }},
        BoundCase{"FileWithoutName", "PackageFile.path",
                  [](auto& job) { a_file(job).clear_path(); }},
        BoundCase{"FileWithNul", "PackageFile.path",
                  [](auto& job) { a_file(job).set_path(std::string("a\0b", 3)); }},
        BoundCase{"FileWithoutBlob", "PackageFile.blob",
                  [](auto& job) { a_file(job).clear_blob(); }},
        BoundCase{"ShortHash", "BlobRef.sha256",
                  [](auto& job) { a_source(job).mutable_blob()->set_sha256("abc"); }},
        BoundCase{"HashInCapitals", "BlobRef.sha256",
                  [](auto& job) { a_source(job).mutable_blob()->set_sha256(std::string(64, 'A')); }},
        BoundCase{"HugeBlob", "BlobRef.bytes",
                  [](auto& job) { a_source(job).mutable_blob()->set_bytes(kBytesMax + 1); }},
        BoundCase{"InPlaceButRelative", "ClipSource.path",
                  [](auto& job) { a_source(job).set_path("clip.mp4"); }},
        BoundCase{"LongPath", "ClipSource.path",
                  [](auto& job) { a_source(job).set_path("/" + std::string(kPathBytesMax, 'a')); }},
        BoundCase{"CodecWithSpace", "OutputSettings.codec",
                  [](auto& job) { an_output(job).set_codec("h 264"); }},
        BoundCase{"LongCodec", "OutputSettings.codec",
                  [](auto& job) { an_output(job).set_codec(std::string(kWordBytesMax + 1, 'a')); }},
        BoundCase{"HighQuality", "OutputSettings.quality",
                  [](auto& job) { an_output(job).set_quality(kQualityMax + 1); }},
        BoundCase{"LowQuality", "OutputSettings.quality",
                  [](auto& job) { an_output(job).set_quality(-2); }}));

// The bounds of what workers send.
struct WorkerCase {
  std::string name;
  std::string field;
  std::function<void(farm::FromWorker&)> set_up;
};

void PrintTo(const WorkerCase& test, std::ostream* out) { *out << test.name; }

class WorkerBoundTest : public ::testing::TestWithParam<WorkerCase> {};

TEST_P(WorkerBoundTest, BeyondIsRefusedAndTheFieldIsNamed) {
  farm::Envelope envelope;
  envelope.set_version_oldest(kFarmProtocolOldest);
  envelope.set_version_newest(kFarmProtocolNewest);
  GetParam().set_up(*envelope.mutable_from_worker());
  const auto message = decode_farm_message(envelope.SerializeAsString());
  ASSERT_FALSE(message);
  EXPECT_TRUE(message.error().message.starts_with("farm message: " + GetParam().field + " "))
      << message.error().message;
}

farm::WorkerHello& a_hello(farm::FromWorker& out) {
  out.mutable_hello()->set_worker("w");
  return *out.mutable_hello();
}

farm::CardFacts& a_card(farm::FromWorker& out) {
  auto& card = *a_hello(out).add_lanes()->mutable_card();
  card.set_uuid("GPU-1");
  return card;
}

farm::TaskResult& a_result(farm::FromWorker& out) { return *out.mutable_done()->mutable_result(); }

farm::ProbeResult& a_probe(farm::FromWorker& out) { return *a_result(out).mutable_probe(); }
farm::JoinResult& a_join(farm::FromWorker& out) { return *a_result(out).mutable_join(); }

farm::TaskFault& a_fault(farm::FromWorker& out) {
  out.mutable_failed()->mutable_fault()->set_kind(farm::FAILURE_KIND_CRASH);
  return *out.mutable_failed()->mutable_fault();
}

farm::SegmentResult& a_segment(farm::FromWorker& out) {
  auto& segment = *out.mutable_done()->mutable_result()->mutable_segment();
  segment.set_first(3);
  segment.set_last(5);
  return segment;
}

INSTANTIATE_TEST_SUITE_P(
    Worker, WorkerBoundTest,
    ::testing::Values(
        WorkerCase{"NoName", "WorkerHello.worker", [](auto& out) { out.mutable_hello(); }},
        WorkerCase{"NameIsAFolder", "WorkerHello.worker", [](auto& out) { out.mutable_hello()->set_worker(".."); }},
        WorkerCase{"ManyLanes", "WorkerHello.lanes",
                   [](auto& out) { repeat(*a_hello(out).mutable_lanes(), kLanesMax + 1, farm::LaneOffer()); }},
        WorkerCase{"LaneOfAHigherNumber", "LaneOffer.lane",
                   [](auto& out) { a_hello(out).add_lanes()->set_lane(kLanesMax); }},
        WorkerCase{"LaneInPlaceOfTheCompiler", "LaneOffer.lane",
                   [](auto& out) { out.mutable_lane_changed()->mutable_offer()->set_lane(kCompileLane.value); }},
        WorkerCase{"NegativeCoreSeconds", "SegmentResult.encode_core_s",
                   [](auto& out) { a_segment(out).set_encode_core_s(-1.0); }},
        WorkerCase{"LongNameOfCores", "WorkerHello.host",
                   [](auto& out) { a_hello(out).set_host(std::string(kLabelBytesMax + 1, 'a')); }},
        WorkerCase{"ManyRunning", "WorkerHello.running",
                   [](auto& out) { repeat(*a_hello(out).mutable_running(), kTasksListedMax + 1, {}); }},
        WorkerCase{"NegativeCores", "WorkerHello.cores",
                   [](auto& out) { a_hello(out).set_cores(-1); }},
        WorkerCase{"CardWithoutName", "CardFacts.uuid",
                   [](auto& out) { a_hello(out).add_lanes()->mutable_card()->set_index(1); }},
        WorkerCase{"NoSuchNode", "CardFacts.numa_node", [](auto& out) { a_card(out).set_numa_node(-2); }},
        WorkerCase{"HugeCard", "CardFacts.memory_bytes", [](auto& out) { a_card(out).set_memory_bytes(~0ULL); }},
        WorkerCase{"LongKey", "WorkerHello.signing_key",
                   [](auto& out) { a_hello(out).set_signing_key(std::string(kKeysBytesMax + 1, 'a')); }},
        WorkerCase{"HugeMemory", "Heartbeat.memory_available_bytes",
                   [](auto& out) { out.mutable_heartbeat()->set_memory_available_bytes(~0ULL); }},
        WorkerCase{"NegativeFrames", "TaskProgress.frames_done",
                   [](auto& out) { out.mutable_progress()->set_frames_done(-1); }},
        WorkerCase{"SecondsThatAreNone", "SegmentResult.model_s",
                   [](auto& out) { a_segment(out).set_model_s(std::numeric_limits<double>::quiet_NaN()); }},
        WorkerCase{"InfiniteSeconds", "SegmentResult.wall_s",
                   [](auto& out) { a_segment(out).set_wall_s(std::numeric_limits<double>::infinity()); }},
        WorkerCase{"NegativeSeconds", "SegmentResult.wall_s", [](auto& out) { a_segment(out).set_wall_s(-0.1); }},
        WorkerCase{"EmptySegment", "SegmentResult.last", [](auto& out) { a_segment(out).set_last(3); }},
        WorkerCase{"HashesOfOtherFrames", "SegmentResult.frame_hashes",
                   [](auto& out) { a_segment(out).set_frame_hashes(std::string(33, 'a')); }},
        WorkerCase{"ManyTiles", "ProbeResult.tiles",
                   [](auto& out) { repeat(*a_probe(out).mutable_tiles(), kTileChoicesMax + 1, farm::TileChoice()); }},
        WorkerCase{"ManyWarnings", "JoinResult.warnings",
                   [](auto& out) { repeat(*a_join(out).mutable_warnings(), kWarningsMax + 1, std::string("w")); }},
        WorkerCase{"WideFrame", "ProbeResult.width",
                   [](auto& out) { a_probe(out).set_width(kSideMax + 1); }},
        WorkerCase{"NoKey", "CompileResult.key",
                   [](auto& out) { a_result(out).mutable_compile(); }},
        WorkerCase{"UnknownFailure", "TaskFault.kind",
                   [](auto& out) { a_fault(out).set_kind(static_cast<farm::FailureKind>(farm::FailureKind_MAX + 1)); }},
        WorkerCase{"OtherExit", "TaskFault.exit",
                   [](auto& out) { a_fault(out).set_exit(kExitMax + 1); }}));

}  // namespace
}  // namespace kiln::net
