// What the child can reach, tried by a real process; and that nothing of it outlives the command.
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/fd.h"
#include "base/process.h"
#include "tests/worker/compile_child_fixture.h"
#include "worker/process_memory.h"

namespace kiln::worker {
namespace {

using namespace std::chrono_literals;

class ConfinementTest : public CompileChildFixture {
 protected:
  std::string ask(const std::string& graph) {
    const auto made = compile(graph);
    return made ? made->library : "error: " + made.error().message;
  }
};

// What this kernel can do is asked of it here, not read from what the product says of itself: where it can, the
// product must.
bool kernel_has_file_rules() {
  constexpr long kLandlockCreateRuleset = 444;
  constexpr unsigned kVersionQuery = 1;
  return ::syscall(kLandlockCreateRuleset, nullptr, 0, kVersionQuery) >= 1;
}

// A kernel with filters looks at the filter first, and there is none.
bool kernel_has_system_call_filter() {
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) == -1 && errno == EFAULT;
}

TEST_F(ConfinementTest, SaysWhatTheKernelGrants) {
  start(fake_options());
  ASSERT_TRUE(compile("ok"));
  const std::string said = child_->stats().confinement;
  EXPECT_EQ(said.find("no file rules") == std::string::npos, kernel_has_file_rules()) << said;
  EXPECT_EQ(said.find("no system call filter") == std::string::npos, kernel_has_system_call_filter()) << said;
}

TEST_F(ConfinementTest, NoConnectionLeavesTheChild) {
  if (!kernel_has_system_call_filter()) GTEST_SKIP() << "this kernel filters no system calls";
  start(fake_options());
  EXPECT_EQ(ask("network"), "Permission denied, Permission denied");
}

TEST_F(ConfinementTest, CardsDriverMakesItsSocketAndNothingIsConnected) {
  if (!kernel_has_system_call_filter()) GTEST_SKIP() << "this kernel filters no system calls";
  CompileChildOptions options = fake_options();
  start(options);
  EXPECT_EQ(ask("sockets"), "Permission denied, Permission denied, Permission denied, Permission denied");
  options.device = "cuda";
  options.cards = {"/dev/null"};
  start(options);
  EXPECT_EQ(ask("sockets"), "allowed, Permission denied, Permission denied, Permission denied");
  EXPECT_EQ(ask("network"), "Permission denied, Permission denied");
}

// A driver that cannot does not start. As C libraries do it: fopen(…, "w") cuts the file too.
TEST_F(ConfinementTest, ItsThreadsMayBeNamed) {
  start(fake_options());
  EXPECT_EQ(ask("cut /proc/self/comm"), "allowed");
  EXPECT_EQ(ask("cut /proc/" + std::to_string(::getpid()) + "/comm"), "Permission denied");
}

TEST_F(ConfinementTest, WritesOnlyInItsWorkFolder) {
  if (!kernel_has_file_rules()) GTEST_SKIP() << "this kernel has no file rules (Landlock)";
  start(fake_options());
  std::filesystem::create_directories(folder_ + "/state");
  std::ofstream(folder_ + "/state/file") << "content";
  EXPECT_EQ(ask("write " + folder_ + "/state/file"), "Permission denied");
  EXPECT_EQ(ask("write " + folder_ + "/state/new"), "Permission denied");
  EXPECT_EQ(ask("write /tmp/kiln-confinement-test"), "Permission denied");
  EXPECT_EQ(ask("write " + folder_ + "/child/tmp/fine"), "allowed");
}

TEST_F(ConfinementTest, WorkFolderMayHaveBlanksAndBeRelative) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  CompileChildOptions options = fake_options();
  options.work_folder = "my state/child's";
  start(options);
  const std::string made = ask("ok");
  const std::string wrote = ask("write " + folder_ + "/my state/child's/tmp/fine");
  const std::string variables = ask("environment");
  child_.reset();
  std::filesystem::current_path(before);
  EXPECT_EQ(made, "made by the fake");
  EXPECT_EQ(wrote, "allowed");
  EXPECT_EQ(variables.find("my state"), std::string::npos) << variables;  // Inductor could not use that name
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/my state/child's/child.log"));
}

TEST_F(ConfinementTest, CannotReadTheSigningKey) {
  if (!kernel_has_file_rules()) GTEST_SKIP() << "this kernel has no file rules (Landlock)";
  start(fake_options());
  std::ofstream(folder_ + "/signing.key") << "secret";
  EXPECT_EQ(ask("read " + folder_ + "/signing.key"), "Permission denied");
  EXPECT_EQ(ask("read /proc/self/status"), "allowed");
}

TEST_F(ConfinementTest, NothingOfOurEnvironmentReachesIt) {
  ::setenv("KILN_TEST_SECRET", "token", 1);
  ::setenv("TORCH_COMPILE_DEBUG", "1", 1);
  start(fake_options());
  const std::string variables = ask("environment");
  EXPECT_EQ(variables.find("KILN_"), std::string::npos) << variables;
  EXPECT_EQ(variables.find("TORCH_COMPILE_DEBUG"), std::string::npos) << variables;
  EXPECT_NE(variables.find("TORCHINDUCTOR_VEC_ISA_OK"), std::string::npos) << variables;
}

std::string name_of(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/comm", 4096);
  return text ? *text : std::string();
}

// Gone, or only waiting for somebody to collect its exit status.
bool ended(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  return !text || text->find(") Z ") != std::string::npos;
}

// A source that keeps the compiler itself (not the driver) busy for hours.
constexpr const char* kEndlessSource =
    "constexpr unsigned long f() { unsigned long x = 1;"
    " for (unsigned long i = 0; i < 2000000000UL; ++i) x = x * 3 + i; return x; }\n"
    "static_assert(f() != 0); int main() { return 0; }\n";

TEST_F(ConfinementTest, CompilersDieWithACommandThatIsKilled) {
  // The script that the real child gives to Inductor.
  const std::string script_folder = folder_ + "/script";
  std::filesystem::create_directories(script_folder);
  SpawnOptions write;
  write.argv = {environment("KILN_PYTHON"), "-I", "-S", "-B", "-c",
                "import sys; sys.path.insert(0, sys.argv[1]); from kiln_compile import recipe;"
                "recipe.write_compiler(sys.argv[2], 'g++', 'avx2', '/nowhere')",
                environment("KILN_SOURCE_DIR") + "/python", script_folder};
  ASSERT_TRUE(run_command(write, 30s)->status.ok());
  const std::string script = script_folder + "/kiln-avx2-g++";
  std::ofstream(script_folder + "/endless.cc") << kEndlessSource;

  CompileChildOptions options = fake_options();
  options.package_folder = folder_ + "/script";  // readable for it
  options.command = {options.python, "-I", "-S", "-B",
                     environment("KILN_SOURCE_DIR") + "/tests/worker/fake_compile_child.py"};
  options.torch_folder = environment("KILN_SOURCE_DIR") + "/tests/worker/fake_compile_child.py";
  const pid_t command = ::fork();
  ASSERT_GE(command, 0);
  if (command == 0) {  // plays the command that is about to be killed
    start(options);
    submit("compile " + script + " " + script_folder + "/endless.cc").wait();
    ::_exit(1);
  }
  std::vector<pid_t> tree;
  bool compiling = false;
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!compiling && std::chrono::steady_clock::now() < until && !ended(command)) {
    tree = process_tree(command);
    for (const pid_t pid : tree) compiling = compiling || name_of(pid) == "cc1plus\n";
  }
  ::kill(command, SIGKILL);
  ::waitpid(command, nullptr, 0);
  ASSERT_TRUE(compiling) << "g++ never started";
  for (const pid_t pid : tree) {
    while (!ended(pid) && std::chrono::steady_clock::now() < until) ::usleep(1000);
    EXPECT_TRUE(ended(pid)) << pid << " " << name_of(pid);
  }
}

}  // namespace
}  // namespace kiln::worker
