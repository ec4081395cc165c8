// A real worker compiles for the farm, publishes what it signed, and renders with it.
#include <gmock/gmock.h>

#include <stdlib.h>

#include "net/http_client.h"
#include "sharding/package/package_inputs.h"
#include "tests/worker/compile_child_fixture.h"
#include "tests/worker/farm/fake_farm.h"

namespace kiln::worker {
namespace {

using ::testing::HasSubstr;

// As the coordinator computes it.
std::string key_of(const std::string& package_folder, const net::WorkerHello& hello, const net::TileChoice& tile) {
  const auto text = read_file(package_folder + "/manifest.toml", sharding::kManifestBytesMax);
  const auto manifest = sharding::parse_package_manifest(*text, "manifest.toml");
  sharding::CompileKeyInputs inputs;
  inputs.graph_sha256 = tile.graph_sha256;
  inputs.bucket.inputs =
      sharding::package_inputs(*manifest, sharding::GraphDtype::kFloat32, tile.height, tile.width);
  const net::LaneClass& kind = hello.lanes.at(0).kind;
  inputs.target = {kind.arch, sharding::isa_level_from_string(kind.isa).value(), kind.device_name};
  const net::ToolchainOffer& t = hello.toolchain;
  inputs.toolchain = {t.torch_version, t.torch_git, t.cuda, t.triton, t.compiler, t.libc, t.recipe_sha256};
  return sharding::make_compile_key(inputs).hex();
}

class FarmCompileTest : public FarmWorkerTest {
 protected:
  // The artifact of the probed clip's first tile, for that worker.
  net::CompileSpec compile_spec(const net::WorkerHello& hello) const {
    const net::TileChoice& tile = probed_.tiles[0];
    net::CompileSpec compile;
    compile.key = key_of(package_folder_, hello, tile);
    compile.graph = tile.graph;
    compile.height = tile.height;
    compile.width = tile.width;
    return compile;
  }

  // Of the worker's own door, whose address its log says.
  std::string metrics() const {
    constexpr std::string_view kSaid = "metrics at http://";
    const std::string log = *read_file(folder_ / "worker.log", 1U << 20U);
    const std::size_t begin = log.find(kSaid);
    if (begin == std::string::npos) return log;
    const std::string url = log.substr(begin + kSaid.size(), log.find('\n', begin) - begin - kSaid.size());
    net::HttpClientOptions options;
    options.server = *net::parse_host_port(url.substr(0, url.find('/')));
    const auto answer = net::HttpClient(options).get("/metrics", 1U << 20U);
    return answer ? answer->body : answer.error().message;
  }
};

TEST_F(FarmCompileTest, MadeOncePublishedAndRenderedWith) {
  start_worker();
  const net::WorkerHello hello = coordinator_.hellos[0];
  ASSERT_TRUE(hello.compiles);
  EXPECT_FALSE(hello.lanes[0].kind.toolchain.empty());
  store_.stop();
  store_.trust(hello.signing_key);
  store_.start();
  probe(make_clip("clip.mkv", 60));

  const net::CompileSpec compile = compile_spec(hello);
  const net::TaskDone made = run(assign(compile), kCompiled);
  const auto& result = std::get<net::CompileResult>(made.result);
  EXPECT_EQ(result.key, compile.key);
  EXPECT_FALSE(result.from_store);
  EXPECT_GT(result.compile_s, 0.0);
  EXPECT_FALSE(result.library.sha256.empty());
  EXPECT_TRUE(store_.has_lease(compile.key)) << "an earlier attempt may publish nothing any more";

  // Asked for again, by a later task: the store has it.
  const net::TaskDone again = run(assign(compile));
  EXPECT_TRUE(std::get<net::CompileResult>(again.result).from_store);

  net::SegmentSpec segment = segment_spec(0, 20);
  segment.executor = "compiled";
  segment.artifact_key = compile.key;
  segment.artifact_ready = true;
  const net::TaskDone done = run(assign(segment));
  EXPECT_EQ(std::get<net::SegmentResult>(done.result).frames_compiled, 20);
  EXPECT_FALSE(std::get<net::SegmentResult>(done.result).artifact_lost);

  segment.artifact_key = std::string(64, 'b');  // nobody made that one
  const net::TaskFailed failed = run_failing(assign(segment));
  EXPECT_EQ(failed.fault.kind, net::FailureKind::kArtifactMismatch) << failed.fault.message;
}

TEST_F(FarmCompileTest, CancelledCompileLeavesTheWorkerWell) {
  start_worker();
  const net::WorkerHello hello = coordinator_.hellos[0];
  probe(make_clip("clip.mkv", 10));
  const net::CompileSpec compile = compile_spec(hello);
  const net::Assign task = assign(compile);
  coordinator_.say(task);
  ASSERT_TRUE(coordinator_.wait_for([&] { return lane_pids().size() > 1; }));  // the child beside the lane
  coordinator_.say(net::CancelTask{task.task, task.attempt, "test"});
  run(assign(segment_spec(0, 5)));
  EXPECT_FALSE(coordinator_.hear<net::TaskDone>(std::chrono::milliseconds(0)));
}

// The lane is a fake that asks for the true kernels; worker, child, NVRTC and store are real.
TEST_F(FarmCompileTest, KernelsAreCompiledOnceAndOfferedToEveryLaneThatAsks) {
  ::setenv("KILN_LANE", (environment("KILN_BINARY_DIR") + "/tests/fake_card_lane").c_str(), 1);
  const auto heard = [this] { return read_file(folder_ / "worker/logs/lane-0.log", 1U << 20U).value_or(""); };
  const auto log = [this] { return *read_file(folder_ / "worker.log", 1U << 20U); };
  ::setenv("KILN_LOG_LEVEL", "info", 1);
  start_worker({"--http", "127.0.0.1:0"});
  ::unsetenv("KILN_LOG_LEVEL");
  store_.stop();
  store_.trust(coordinator_.hellos[0].signing_key);
  store_.start();
  ASSERT_TRUE(coordinator_.wait_for([&] { return heard().find("offered kernels") != std::string::npos; }, kCompiled))
      << heard() << log();
  EXPECT_THAT(heard(), HasSubstr(": good\n"));
  EXPECT_THAT(heard(), HasSubstr("offered no kernels\n"));  // while they were compiled
  ASSERT_TRUE(coordinator_.wait_for([&] {  // they are published now and then
    return metrics().find("kiln_worker_compiles_total{outcome=\"made\"} 1\n") != std::string::npos;
  })) << metrics();

  // Another worker, another lane: the store has them, and whoever finds them there compiles nothing.
  worker_.kill_and_wait();
  const std::size_t so_far = heard().size();
  start_worker();
  ::unsetenv("KILN_LANE");
  ASSERT_TRUE(coordinator_.wait_for([&] { return heard().find(": good\n", so_far) != std::string::npos; })) << heard() << log();
}

// The least that the configuration takes; g++ alone needs several times as long.
TEST_F(FarmCompileTest, ChildEndedForItsDeadlineIsCounted) {
  ::setenv("KILN_COMPILE_DEADLINE_S", "1", 1);
  ::setenv("KILN_LOG_LEVEL", "info", 1);
  start_worker({"--http", "127.0.0.1:0"});
  ::unsetenv("KILN_COMPILE_DEADLINE_S");
  ::unsetenv("KILN_LOG_LEVEL");
  const net::WorkerHello hello = coordinator_.hellos[0];
  probe(make_clip("clip.mkv", 10));
  const net::CompileSpec compile = compile_spec(hello);
  EXPECT_THAT(run_failing(assign(compile)).fault.message, HasSubstr("took longer than 1 s"));
  ASSERT_TRUE(coordinator_.wait_for([&] {
    return metrics().find("kiln_worker_compile_kills_total{why=\"deadline\"} 1\n") != std::string::npos;
  })) << metrics();
}

}  // namespace
}  // namespace kiln::worker
