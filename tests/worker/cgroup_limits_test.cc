#include "worker/cgroup_limits.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/base/temp_folder.h"

namespace kiln::worker {
namespace {

constexpr const char* kVersion2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kVersion1 =
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

// Files of a system, below a folder of the test's.
struct FakeSystem {
  test::TempFolder folder;
  FakeSystem(const std::string& mounts, const std::string& groups, const std::map<std::string, std::string>& files) {
    write("/proc/self/mountinfo", "23 1 8:1 / / rw - ext4 /dev/sda rw\n" + mounts);
    write("/proc/self/cgroup", groups);
    for (const auto& [path, text] : files) write("/sys/fs/cgroup" + path, text);
  }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = folder / path.substr(1);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] CgroupLimits probe() const { return probe_cgroups(folder.path()); }
};

struct QuotaCase {
  const char* name;
  std::string mounts;
  std::string groups;
  std::map<std::string, std::string> files;
  unsigned cores;
  std::string group;
};

void PrintTo(const QuotaCase& one, std::ostream* out) { *out << one.name; }

class CgroupQuotaTest : public testing::TestWithParam<QuotaCase> {};

TEST_P(CgroupQuotaTest, TheLeastOfAllGroupsAboveHolds) {
  const QuotaCase& one = GetParam();
  const FakeSystem system(one.mounts, one.groups, one.files);
  const CgroupLimits limits = system.probe();
  EXPECT_EQ(limits.cores, one.cores);
  EXPECT_EQ(limits.cores_group, one.cores == 0 ? "" : "/sys/fs/cgroup" + one.group);
}

INSTANTIATE_TEST_SUITE_P(
    Systems, CgroupQuotaTest,
    testing::Values(
        QuotaCase{"NoGroups", "", "", {}, 0, ""},
        QuotaCase{"NoQuota", kVersion2, "0::/a/b\n", {{"/a/b/cpu.max", "max 100000\n"}, {"/a/cpu.max", "max 100000\n"}}, 0, ""},
        QuotaCase{"Own", kVersion2, "0::/a/b\n", {{"/a/b/cpu.max", "150000 100000\n"}}, 2, "/a/b"},
        QuotaCase{"Parent", kVersion2, "0::/a/b\n", {{"/a/b/cpu.max", "max 100000\n"}, {"/a/cpu.max", "100000 100000\n"}}, 1, "/a"},
        QuotaCase{"Grandparent", kVersion2, "0::/a/b/c\n", {{"/a/b/c/cpu.max", "400000 100000\n"}, {"/a/cpu.max", "300000 100000\n"}}, 3,
                  "/a"},
        QuotaCase{"EqualOnesAreSharedByMore", kVersion2, "0::/a/b\n", {{"/a/b/cpu.max", "2 1\n"}, {"/a/cpu.max", "2 1\n"}}, 2, "/a"},
        QuotaCase{"RootOfAContainer", kVersion2, "0::/\n", {{"/cpu.max", "50000 100000\n"}}, 1, ""},
        QuotaCase{"OutsideOfWhatIsSeen", kVersion2, "0::/../other\n", {{"/cpu.max", "200000 100000\n"}}, 2, ""},
        QuotaCase{"APartOfTheTreeIsMounted", "30 23 0:26 /pod/box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/pod/box/x\n",
                  {{"/x/cpu.max", "max 100000\n"}, {"/cpu.max", "300000 100000\n"}}, 3, ""},
        QuotaCase{"Damaged", kVersion2, "0::/a\n", {{"/a/cpu.max", "many 100000\n"}, {"/cpu.max", "100000 0\n"}}, 0, ""},
        QuotaCase{"Version1Own", kVersion1, "4:cpu,cpuacct:/a\n3:cpuset:/z\n",
                  {{"/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n"}, {"/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}}, 3, "/cpu,cpuacct/a"},
        QuotaCase{"Version1Parent", kVersion1, "4:cpu,cpuacct:/a/b\n0::/other\n",
                  {{"/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"},
                   {"/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"},
                   {"/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n"},
                   {"/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n"}},
                  2, "/cpu,cpuacct/a"}),
    [](const auto& one) { return one.param.name; });

TEST(CgroupMemoryTest, TheLeastLimitAndWhatTheFullestGroupLeaves) {
  const FakeSystem system(kVersion2, "0::/a/b\n",
                          {{"/a/b/memory.max", "1000\n"}, {"/a/b/memory.current", "100\n"},
                           {"/a/memory.max", "5000\n"}, {"/a/memory.current", "4900\n"}, {"/a/memory.stat", "anon 4000\ninactive_file 700\n"},
                           {"/memory.max", "max\n"}});
  const CgroupLimits limits = system.probe();
  EXPECT_EQ(limits.memory_bytes, 1000U);
  EXPECT_EQ(limits.memory_available_bytes, 800U) << "files that were read once leave room; others in the parent do not";
  EXPECT_EQ(limits.cores, 0U);
}

TEST(CgroupMemoryTest, Version1HasANumberForNoLimit) {
  const FakeSystem system(kVersion1, "7:memory:/a/b\n",
                          {{"/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"},
                           {"/memory/a/memory.limit_in_bytes", "5000\n"},
                           {"/memory/a/memory.usage_in_bytes", "6000\n"}});
  EXPECT_EQ(system.probe().memory_bytes, 5000U);
  EXPECT_EQ(system.probe().memory_available_bytes, 0U);
  const FakeSystem free(kVersion1, "7:memory:/\n", {{"/memory/memory.limit_in_bytes", "9223372036854771712\n"}});
  EXPECT_EQ(free.probe().memory_bytes, 0U);
}

}  // namespace
}  // namespace kiln::worker
