// Whatever goes wrong is an outcome of one key. The child is the fake; real compiles are in real_compile_test.cc.
#include "worker/artifact_builder.h"

#include <algorithm>

#include "sharding/package/pt2_archive.h"
#include "tests/worker/artifact_builder_fixture.h"

namespace kiln::worker {
namespace {

using ArtifactBuilderTest = ArtifactBuilderFixture;

TEST_F(ArtifactBuilderTest, KeyIsTheSameForEveryThreadCountAndEveryFolder) {
  ArtifactBuilderOptions options = fake_options();
  const ArtifactBuilder first(options, *store_, key_);
  const auto expected = first.key_for(request_for(40, 48));
  ASSERT_TRUE(expected) << expected.error().message;
  for (const int threads : {2, 3, 8, 64}) {
    options.child.threads = threads;
    options.child.work_folder = folder_ / ("work" + std::to_string(threads));
    options.child.nice = threads;
    const ArtifactBuilder other(options, *store_, key_);
    EXPECT_EQ(other.key_for(request_for(40, 48))->digest, expected->digest) << threads;
  }
  EXPECT_NE(first.key_for(request_for(40, 56))->digest, expected->digest);
}

TEST_F(ArtifactBuilderTest, OutcomeOfAFailedCompileIsAnErrorAndMayBeTriedAgain) {
  ArtifactBuilderOptions options = fake_options();
  options.child.compile_deadline = std::chrono::seconds(2);
  ArtifactBuilder hanging(options, *store_, key_);
  for (int attempt = 0; attempt < 2; ++attempt) {
    ASSERT_TRUE(hanging.request(request_for(40, 48)));
    EXPECT_EQ(hanging.pending(), 1U);
    const auto outcome = next_outcome(hanging);
    ASSERT_TRUE(outcome);
    ASSERT_FALSE(outcome->artifact);
    EXPECT_EQ(outcome->artifact.error().code, ErrorCode::kDeadlineExceeded) << outcome->artifact.error().message;
    EXPECT_EQ(hanging.pending(), 0U);
  }
  EXPECT_EQ(hanging.stats().failures, 2U);
}

TEST_F(ArtifactBuilderTest, CancelEndsWhatIsPending) {
  ArtifactBuilder builder(fake_options(), *store_, key_);
  ASSERT_TRUE(builder.request(request_for(40, 48)));
  builder.cancel_pending();
  const auto outcome = next_outcome(builder);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->artifact.error().code, ErrorCode::kCancelled);
}

TEST_F(ArtifactBuilderTest, GraphWithAnOperatorOffTheListNeverReachesTheChild) {
  const auto* graph = manifest_.find_graph(sharding::GraphDtype::kFloat32, 40, 48);
  std::string pt2 = read_file(package_ + "/" + graph->file, sharding::kPt2BytesMax).value();
  // Same length, so that the archive's directory still fits; its checksum does not.
  const std::string from = "torch.ops.aten.conv2d.default";
  const std::string to = "torch.ops.evil.conv2d.default";
  for (auto at = pt2.find(from); at != std::string::npos; at = pt2.find(from)) pt2.replace(at, from.size(), to);
  ArtifactBuilder builder(fake_options(), *store_, key_);
  const auto refused = builder.request(request_for_pt2(pt2, 40, 48));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit, ExitCode::kInputRefused) << refused.error().message;
  EXPECT_EQ(builder.child_stats().starts, 0U);
}

TEST_F(ArtifactBuilderTest, NothingIsCompiledBelowTheLowestLevel) {
  ArtifactBuilderOptions options = fake_options();
  options.target.isa = sharding::IsaLevel::kNone;
  ArtifactBuilder builder(options, *store_, key_);
  const auto refused = builder.request(request_for(40, 48));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace kiln::worker
