#include "worker/fault_class.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "worker/memory_kills.h"

namespace kiln::worker {
namespace {

using net::FailureKind;

TEST(FaultClassTest, LanesFaults) {
  const struct {
    net::Fault fault;
    FailureKind kind;
  } cases[] = {
      {{make_error(ErrorCode::kInternal, "no"), "error"}, FailureKind::kError},
      {{input_refused("torn"), "bad_input"}, FailureKind::kBadInput},
      {{make_error(ErrorCode::kInvalidArgument, "no such preset"), "error"}, FailureKind::kBadInput},
      {{bad_config("this ffmpeg has no AV1"), "error"}, FailureKind::kError},
      {{make_error(ErrorCode::kDataLoss, "no"), "artifact_mismatch"}, FailureKind::kArtifactMismatch},
      {{make_error(ErrorCode::kResourceExhausted, "no"), "out_of_memory"}, FailureKind::kOutOfMemory},
      {{make_error(ErrorCode::kInternal, "CUDA out of memory. Tried to allocate 2 GiB"), "error"}, FailureKind::kOutOfMemory},
      {{make_error(ErrorCode::kInternal, "DefaultCPUAllocator: can't allocate memory"), "error"}, FailureKind::kOutOfMemory},
      {{io_error("writing: No space left on device"), "error"}, FailureKind::kError},
  };
  for (const auto& one : cases) EXPECT_EQ(fault_of(one.fault).kind, one.kind) << one.fault.error.message;
}

TEST(FaultClassTest, OwnErrors) {
  EXPECT_EQ(fault_of(input_refused("hash")).kind, FailureKind::kBadInput);
  EXPECT_EQ(fault_of(make_error(ErrorCode::kNotFound, "the store has no such blob")).kind, FailureKind::kBadInput);
  EXPECT_EQ(fault_of(make_error(ErrorCode::kUnavailable, "no store")).kind, FailureKind::kError);
  EXPECT_EQ(fault_of(input_refused("hash")).exit, 65);
}

TEST(FaultClassTest, DeathsOfLanes) {
  EXPECT_EQ(kind_of({{0, SIGSEGV}, "", false}), FailureKind::kCrash);
  EXPECT_EQ(kind_of({{0, SIGKILL}, "", false}), FailureKind::kCrash);  // somebody's kill -9
  EXPECT_EQ(kind_of({{0, SIGKILL}, "", true}), FailureKind::kOutOfMemory);
  EXPECT_EQ(kind_of({{0, SIGABRT}, "terminate called after throwing an instance of 'std::bad_alloc'", false}),
            FailureKind::kOutOfMemory);
  EXPECT_EQ(kind_of({{0, SIGABRT}, "assertion failed", true}), FailureKind::kCrash);
}

TEST(MemoryKillsTest, CountIsReadFromItsOwnLine) {
  EXPECT_EQ(parse_kill_count("low 0\nhigh 0\noom 3\noom_kill 2\noom_group_kill 0\n"), 2U);
  EXPECT_EQ(parse_kill_count("nr_free_pages 5\noom_kill 17\n"), 17U);
  EXPECT_EQ(parse_kill_count("oom 3\n"), 0U);
  EXPECT_EQ(parse_kill_count(""), 0U);
}

}  // namespace
}  // namespace kiln::worker
