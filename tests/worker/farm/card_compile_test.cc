// A true worker with two cards that are none: the driver's library is a fake, lanes only load weights, and the true compile children do on the
// CPU what they would do on a card. Which child is asked for what, what it is told, and whose turn a card is, is all as on cards.
#include <gmock/gmock.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <span>

#include "sharding/package/package_inputs.h"
#include "sharding/package/pt2_archive.h"
#include "tests/worker/compile_child_fixture.h"
#include "tests/worker/farm/fake_farm.h"

namespace kiln::worker {
namespace {

using ::testing::HasSubstr;

// Stands where the interpreter would: says which card the child was given, and has it compile for the CPU.
constexpr const char* kInterpreter = R"(#!/usr/bin/python3 -IB
import os, runpy, sys
if not sys.argv[-1].startswith("{"):
    os.execv(@PYTHON@, [@PYTHON@, *sys.argv[1:]])
with open(f"{os.environ['HOME']}/asked", "w") as file:
    file.write(f"{sys.argv[-1]} {os.environ['CUDA_VISIBLE_DEVICES']} {os.environ.get('PYTORCH_ALLOC_CONF')}")
sys.path.insert(0, @SITE@)
program = next(one for one in sys.argv if one.endswith("__main__.py"))
sys.argv = [program, *(one.replace('"cuda:0"', '"cpu"') for one in sys.argv[sys.argv.index(program) + 1:])]
runpy.run_path(program, run_name="__main__")
)";

class CardCompileTest : public FarmWorkerTest {
 protected:
  void SetUp() override {
    FarmWorkerTest::SetUp();
    const std::string tests = environment("KILN_BINARY_DIR") + "/tests";
    set("LD_LIBRARY_PATH", tests + "/fake_nvml_new");
    set("KILN_LANE", tests + "/share_member");
    set("KILN_LOG_LEVEL", "info");
    write_interpreter();
  }
  void TearDown() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
    FarmWorkerTest::TearDown();
  }
  void set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  void write_interpreter() {
    std::string text = kInterpreter;
    const std::string python = environment("KILN_PYTHON");
    const auto replace = [&](const std::string& from, const std::string& to) {
      for (auto at = text.find(from); at != std::string::npos; at = text.find(from)) text.replace(at, from.size(), "'" + to + "'");
    };
    SpawnOptions ask;
    ask.argv = {python, "-c", "import os, importlib.util as u; print(os.path.dirname(os.path.dirname(u.find_spec('torch').origin)), end='')"};
    const auto site = run_command(ask, std::chrono::minutes(1));
    ASSERT_TRUE(site && site->status.ok());
    replace("@PYTHON@", python);
    replace("@SITE@", site->out);
    interpreter_ = folder_ / "bin/python";
    std::filesystem::create_directory(std::string(folder_ / "bin"));
    std::ofstream(interpreter_) << text;
    std::filesystem::permissions(interpreter_, std::filesystem::perms::owner_all);
  }
  void start(std::vector<std::string> more) {
    more.insert(more.end(), {"--device", "cuda", "--python", interpreter_});
    start_worker(std::move(more));
    hello_ = coordinator_.hellos.back();
    store_.stop();
    store_.trust(hello_.signing_key);
    store_.start();
    ASSERT_TRUE(hello_.compiles) << log();
    ASSERT_EQ(hello_.lanes.size(), 2U);
  }

  // What a probe would have found of it: no lane here probes.
  void probe_graph() {
    const auto text = read_file(package_folder_ + "/manifest.toml", sharding::kManifestBytesMax);
    const auto manifest = sharding::parse_package_manifest(*text, "manifest.toml");
    const auto pt2 = read_file(package_folder_ + "/" + manifest->graphs.at(0).file, 64U << 20U);
    ASSERT_TRUE(pt2);
    const auto json = sharding::read_pt2_graph(std::as_bytes(std::span(*pt2)));
    ASSERT_TRUE(json) << json.error().message;
    graph_sha256_ = sha256(*json).hex();
  }
  // Of the first graph of the package, for that lane's card.
  net::Assign compile(std::uint32_t lane, int side, std::uint64_t activation_bytes = 0) {
    const auto text = read_file(package_folder_ + "/manifest.toml", sharding::kManifestBytesMax);
    const auto manifest = sharding::parse_package_manifest(*text, "manifest.toml");
    const auto& graph = manifest->graphs.at(0);
    net::CompileSpec spec;
    spec.height = spec.width = side;
    spec.activation_bytes = activation_bytes;
    sharding::CompileKeyInputs inputs;
    inputs.graph_sha256 = graph_sha256_;
    inputs.bucket.inputs = sharding::package_inputs(*manifest, graph.dtype, side, side);
    const net::LaneClass& kind = hello_.lanes.at(lane).kind;
    inputs.target = {kind.arch, sharding::isa_level_from_string(kind.isa).value(), {}};
    const net::ToolchainOffer& t = hello_.toolchain;
    inputs.toolchain = {t.torch_version, t.torch_git, t.cuda, t.triton, t.compiler, t.libc, t.recipe_sha256};
    spec.key = sharding::make_compile_key(inputs).hex();
    net::Assign out = assign(spec);
    out.lane = net::compile_lane(LaneId{lane});
    return out;
  }
  std::string asked(const std::string& folder) const { return read_file(folder_ / ("worker/" + folder + "/asked"), 1U << 16U).value_or(""); }
  std::string log() const { return read_file(folder_ / "worker.log", 1U << 20U).value_or(""); }
  // The first heartbeat that says what this wants.
  template <typename Condition>
  bool hear_heartbeat(Condition&& wanted, std::chrono::milliseconds deadline = kSoon) {
    return coordinator_.wait_for([&] {
      while (const auto heartbeat = coordinator_.hear<net::Heartbeat>(std::chrono::milliseconds(0))) {
        if (wanted(*heartbeat)) return true;
      }
      return false;
    }, deadline);
  }

  std::string interpreter_;
  std::string graph_sha256_;
  net::WorkerHello hello_;

 private:
  std::vector<std::string> set_;
};

TEST_F(CardCompileTest, EachCardsChildCompilesForItsOwnKind) {
  start({});
  EXPECT_EQ(hello_.lanes[0].kind.arch, "sm_90");
  EXPECT_EQ(hello_.lanes[1].kind.arch, "sm_86");
  EXPECT_FALSE(hello_.lanes[1].kind.toolchain.empty());
  probe_graph();
  const net::Assign first = compile(0, 48);
  const net::Assign second = compile(1, 48);
  coordinator_.say(first);
  coordinator_.say(second);
  for (int i = 0; i < 2; ++i) {
    const auto done = coordinator_.hear<net::TaskDone>(kCompiled);
    ASSERT_TRUE(done) << log();
    EXPECT_FALSE(std::get<net::CompileResult>(done->result).from_store);
  }
  EXPECT_THAT(asked("compile"), HasSubstr("cuda:0\"")) << log();
  EXPECT_THAT(asked("compile"), HasSubstr(" GPU-00000000-")) << "of the first card alone";
  EXPECT_THAT(asked("compile-1"), HasSubstr(" GPU-00000001-"));
  EXPECT_THAT(asked("compile"), HasSubstr(" None")) << "without a cap its allocator has no limit";
}

TEST_F(CardCompileTest, UnderACapTheLaneEndsForACompileAndIsThereAgainBehindIt) {
  start({"--vram-cap", "2GiB"});
  probe_graph();
  coordinator_.say(compile(1, 48, std::uint64_t{1} << 30U));
  ASSERT_TRUE(hear_heartbeat([](const auto& heartbeat) { return heartbeat.waiting_lanes == std::vector<LaneId>{LaneId{1}}; })) << log();
  EXPECT_THAT(log(), HasSubstr("lane 1 waits: a compile of its card comes first: together they would take "));
  ASSERT_TRUE(coordinator_.hear<net::TaskDone>(kCompiled)) << log();
  ASSERT_TRUE(hear_heartbeat([](const auto& heartbeat) { return heartbeat.waiting_lanes.empty(); })) << log();
  EXPECT_THAT(asked("compile-1"), HasSubstr(" per_process_memory_fraction:0.1")) << "of 12 GiB: the cap less what two contexts take";
}

TEST_F(CardCompileTest, AWorkerThatEndsDoesNotStayForACompile) {
  start({});
  probe_graph();
  coordinator_.say(compile(0, 48));
  ASSERT_TRUE(hear_heartbeat([](const auto& heartbeat) { return !heartbeat.running.empty(); })) << log();
  ASSERT_TRUE(coordinator_.wait_for([&] { return !asked("compile").empty(); })) << log();
  coordinator_.say(net::DrainWorker{true, true});
  const auto failed = coordinator_.hear<net::TaskFailed>();
  ASSERT_TRUE(failed) << log();
  EXPECT_EQ(failed->fault.kind, net::FailureKind::kLostLane);
  ASSERT_TRUE(coordinator_.hear<net::Goodbye>()) << log();
  const auto ended = worker_.wait_for(kSoon);
  ASSERT_TRUE(ended && ended->has_value());
  EXPECT_TRUE((*ended)->ok()) << (*ended)->describe();
}

}  // namespace
}  // namespace kiln::worker
