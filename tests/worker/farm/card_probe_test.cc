// Through the true dlopen: the libraries are those of farm/fake_nvml.cc.
#include "worker/card_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/base/temp_folder.h"

namespace kiln::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CardProbeTest : public ::testing::Test {
 protected:
  ~CardProbeTest() override {
    for (const auto& [name, value] : set_) ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    set_[name] = value;
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  static std::string library(const std::string& age = "new") {
    return fmt::format("{}/tests/fake_nvml_{}/libnvidia-ml.so.1", std::getenv("KILN_BINARY_DIR"), age);
  }
  Result<CardList> probe(const std::string& sys = "/nowhere") { return probe_cards({library(), sys, std::chrono::seconds(20)}, said_); }

  std::map<std::string, std::string> set_;
  std::vector<std::string> said_;
};

TEST_F(CardProbeTest, TheDriversLibraryIsOpenedAndAsked) {
  const auto list = probe();
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->driver, "580.95.05");
  EXPECT_EQ(list->cuda, (CudaVersion{13, 0}));
  ASSERT_THAT(list->cards, SizeIs(2));
  const Card& card = list->cards[0];
  EXPECT_EQ(card.name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(card.uuid, "GPU-00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(pci_name(card.pci), "0000:0f:00.0");
  EXPECT_EQ(arch_name(card.capability), "sm_90");
  EXPECT_EQ(card.memory_bytes, 81'559ULL << 20U);
  EXPECT_EQ(card.reserved_bytes, 500ULL << 20U);
  EXPECT_EQ(card.free_bytes, 81'059ULL << 20U);
  EXPECT_EQ(card.link_generation, 5U);
  EXPECT_EQ(card.link_width, 16U);
  EXPECT_EQ(card.numa_node, -1);
  EXPECT_EQ(list->cards[1].link_width, 0U) << "a card without a link to speak of is still one";
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(describe(card), "card 0, NVIDIA H100 80GB HBM3 (sm_90), 79.2 GiB of 79.6 GiB free");
}

TEST_F(CardProbeTest, NodesAndCoresAreThoseOfTheSystem) {
  const test::TempFolder sys;
  const std::vector<int> allowed = allowed_cores();
  ASSERT_FALSE(allowed.empty());
  const auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(sys / path).parent_path());
    std::ofstream(sys / path) << text;
  };
  write("bus/pci/devices/0000:0f:00.0/numa_node", "1\n");
  write("bus/pci/devices/0000:10:00.0/numa_node", "-1\n");
  write("devices/system/node/node1/cpulist", fmt::format("{},5000-5003\n", allowed.front()));
  const auto list = probe(sys.path());
  ASSERT_TRUE(list);
  EXPECT_EQ(list->cards[0].numa_node, 1);
  EXPECT_THAT(list->cards[0].cores, ElementsAre(allowed.front())) << "cores that we may not use are none";
  EXPECT_EQ(list->cards[1].numa_node, -1);
  EXPECT_THAT(list->cards[1].cores, IsEmpty());
}

TEST_F(CardProbeTest, ACardThatIsLostIsLeftOutWithALine) {
  set("FAKE_NVML_LOST", "0");
  const auto list = probe();
  ASSERT_TRUE(list);
  ASSERT_THAT(list->cards, SizeIs(1));
  EXPECT_EQ(list->cards[0].index, 1U);
  EXPECT_THAT(said_, ElementsAre("card 0: cannot be opened: libnvidia-ml.so.1 says 'GPU is lost'"));
}

TEST_F(CardProbeTest, MoreCardsThanAreLookedAtAreSaid) {
  set("FAKE_NVML_CARDS", "100");
  const auto list = probe();
  ASSERT_TRUE(list);
  EXPECT_THAT(list->cards, SizeIs(kCardsMax));
  EXPECT_THAT(said_, ElementsAre("100 cards here; the first 64 are looked at"));
}

TEST_F(CardProbeTest, DriversThatDoNotWorkAreOneLine) {
  set("FAKE_NVML_INIT", "18");
  const auto mismatch = probe();
  ASSERT_FALSE(mismatch);
  EXPECT_EQ(mismatch.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(mismatch.error().message,
            "the NVIDIA driver does not work: libnvidia-ml.so.1 says 'Driver/library version mismatch'");
  const auto none = open_nvml("/nowhere/libnvidia-ml.so.1");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("no NVIDIA driver here (/nowhere/libnvidia-ml.so.1"));
  const auto old = open_nvml(library("old"));
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, ErrorCode::kUnimplemented);
  EXPECT_THAT(old.error().message, HasSubstr("has no nvmlDeviceGetMemoryInfo_v2: this NVIDIA driver is too old"));
}

TEST_F(CardProbeTest, ADriverThatDoesNotAnswerIsOneLine) {
  set("FAKE_NVML_INIT", "-1");
  const auto list = probe_cards({library(), "/nowhere", std::chrono::milliseconds(20)}, said_);
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(list.error().message, HasSubstr("the NVIDIA driver does not answer (20 ms)"));
}

class SilentDriver : public CardDriver {
 public:
  Result<std::string> driver_version() override { return std::string("1"); }
  Result<CudaVersion> cuda_version() override { return fail(make_error(ErrorCode::kUnavailable, "silent")); }
  Result<unsigned> card_count() override { return 1U; }
  Result<Card> card(unsigned) override { return Card{}; }
};

TEST_F(CardProbeTest, ADriverThatDoesNotSayItsCudaIsAnError) {
  SilentDriver driver;
  const auto list = list_cards(driver, said_);
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().message, "silent");
}

TEST(CardFactsTest, ArchitecturesAndFp8) {
  const std::pair<ComputeCapability, std::pair<std::string_view, bool>> rows[] = {
      {{7, 5}, {"sm_75", false}}, {{8, 6}, {"sm_86", false}}, {{8, 9}, {"sm_89", true}},
      {{9, 0}, {"sm_90", true}},  {{10, 0}, {"sm_100", true}}, {{12, 0}, {"sm_120", true}}};
  for (const auto& [capability, expected] : rows) {
    EXPECT_EQ(arch_name(capability), expected.first);
    EXPECT_EQ(has_fp8(capability), expected.second) << expected.first;
  }
}

TEST(CardFactsTest, VersionsOfCuda) {
  EXPECT_EQ(parse_cuda_version("13.0"), (CudaVersion{13, 0}));
  EXPECT_EQ(parse_cuda_version("12.8.1\n"), (CudaVersion{12, 8}));
  for (const char* none : {"", "None", "13", "13.", ".0", "x.y"}) EXPECT_EQ(parse_cuda_version(none), CudaVersion{}) << none;
  EXPECT_EQ(to_string(CudaVersion{13, 0}), "13.0");
  EXPECT_EQ(to_string(CudaVersion{}), "");
}

TEST(CardFactsTest, ListsOfCores) {
  EXPECT_THAT(parse_core_list("0-3,8,10-11\n").value(), ElementsAre(0, 1, 2, 3, 8, 10, 11));
  EXPECT_THAT(parse_core_list("3,1-2,2").value(), ElementsAre(1, 2, 3));
  EXPECT_THAT(parse_core_list("\n").value(), IsEmpty());
  for (const char* bad : {"a", "1-", "-1", "3-1", "1,,2", "0-99999999", "1 2"}) EXPECT_FALSE(parse_core_list(bad)) << bad;
  EXPECT_THAT(shared_cores({0, 1, 5, 9}, {1, 2, 9}), ElementsAre(1, 9));
}

TEST(CardFactsTest, DriversAndCardsThatTheTorchCannotUse) {
  CardList list;
  list.driver = "550.54";
  list.cuda = {12, 4};
  EXPECT_EQ(driver_misfit(list, CudaVersion{13, 0}),
            "NVIDIA driver 550.54 can run CUDA 12.4 at most, and the installed torch needs CUDA 13.0: install a newer driver");
  EXPECT_EQ(driver_misfit(list, CudaVersion{12, 8}), "") << "within one major version it runs";
  EXPECT_EQ(driver_misfit(list, std::nullopt), "") << "what is not known is not held against it";
  EXPECT_THAT(driver_misfit(list, CudaVersion{}), HasSubstr("the installed torch has no CUDA"));
  list.cuda = {13, 0};
  EXPECT_EQ(driver_misfit(list, CudaVersion{13, 0}), "");
  Card old;
  old.name = "GTX 1080";
  old.capability = {6, 1};
  EXPECT_EQ(card_misfit(old, CudaVersion{13, 0}), "card 0 (GTX 1080) is sm_61: CUDA 13.0 runs on sm_75 and newer");
  EXPECT_EQ(card_misfit(old, CudaVersion{12, 8}), "");
  EXPECT_EQ(card_misfit(old, std::nullopt), "");
  old.capability = {7, 5};
  EXPECT_EQ(card_misfit(old, CudaVersion{13, 0}), "");
}

}  // namespace
}  // namespace kiln::worker
