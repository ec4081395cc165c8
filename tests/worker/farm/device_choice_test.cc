#include "worker/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr CudaVersion kTorch{13, 0};

// 0 and 2 are new, 1 is too old for CUDA 13.
CardList three_cards() {
  CardList list;
  list.driver = "580.95.05";
  list.cuda = {13, 0};
  for (unsigned i = 0; i < 3; ++i) {
    Card card;
    card.index = i;
    card.uuid = fmt::format("GPU-{}{}aa", i, i);
    card.name = i == 1 ? "old" : "new";
    card.capability = i == 1 ? ComputeCapability{7, 0} : ComputeCapability{9, 0};
    list.cards.push_back(card);
  }
  return list;
}

std::vector<unsigned> numbers(const std::vector<Card>& cards) {
  std::vector<unsigned> out;
  for (const Card& card : cards) out.push_back(card.index);
  return out;
}

Result<CardChoice> choose(std::string_view device, const Result<CardList>& found = three_cards(),
                          const std::optional<std::string>& visible = std::nullopt) {
  return choose_cards(parse_device(device).value(), found, visible, kTorch);
}

TEST(DeviceChoiceTest, WordsOfDevices) {
  EXPECT_EQ(parse_device("cpu")->kind, DeviceKind::kCpu);
  EXPECT_EQ(parse_device("auto")->kind, DeviceKind::kAuto);
  EXPECT_EQ(parse_device("cuda")->kind, DeviceKind::kAllCards);
  EXPECT_THAT(parse_device("cuda:0")->cards, ElementsAre(0U));
  EXPECT_THAT(parse_device("cuda:2, cuda:0")->cards, ElementsAre(2U, 0U));
  for (const char* bad : {"", "tpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", "cuda:0,cpu", "cuda:0,1", "cuda:64", "CUDA"}) {
    const auto wish = parse_device(bad);
    ASSERT_FALSE(wish) << bad;
    EXPECT_EQ(exit_code(wish.error()), 78) << bad;
  }
  EXPECT_THAT(parse_device("cuda:1,cuda:1").error().message, HasSubstr("cuda:1 stands in it twice"));
}

TEST(DeviceChoiceTest, TheCpuAsksForNoCard) {
  const auto choice = choose("cpu", fail(make_error(ErrorCode::kNotFound, "no driver")));
  ASSERT_TRUE(choice);
  EXPECT_THAT(choice->cards, IsEmpty());
  EXPECT_THAT(choice->said, IsEmpty());
}

TEST(DeviceChoiceTest, EveryCardThatFitsHasALane) {
  for (const char* device : {"cuda", "auto"}) {
    const auto choice = choose(device);
    ASSERT_TRUE(choice) << device;
    EXPECT_THAT(numbers(choice->cards), ElementsAre(0U, 2U));
    EXPECT_THAT(choice->said, ElementsAre("left out: card 1 (old) is sm_70: CUDA 13.0 runs on sm_75 and newer"));
  }
}

TEST(DeviceChoiceTest, NamedCardsAreTakenInTheirOrderOrRefused) {
  EXPECT_THAT(numbers(choose("cuda:2,cuda:0")->cards), ElementsAre(2U, 0U));
  const auto missing = choose("cuda:0,cuda:3");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message, "no such card: cuda:3; cuda:0 to cuda:2 are here");
  EXPECT_EQ(choose("cuda:1").error().message, "card 1 (old) is sm_70: CUDA 13.0 runs on sm_75 and newer");
}

TEST(DeviceChoiceTest, WithoutCardsAutoTakesTheCpuAndSaysWhy) {
  const Result<CardList> no_driver = fail(make_error(ErrorCode::kNotFound, "no NVIDIA driver here (x)"));
  CardList empty = three_cards();
  empty.cards.clear();
  CardList old = three_cards();
  old.cuda = {12, 8};
  const std::pair<Result<CardList>, std::string> rows[] = {
      {no_driver, "no NVIDIA driver here (x)"},
      {empty, "no card here"},
      {old, "NVIDIA driver 580.95.05 can run CUDA 12.8 at most, and the installed torch needs CUDA 13.0: install a newer driver"}};
  for (const auto& [found, why] : rows) {
    const auto choice = choose("auto", found);
    ASSERT_TRUE(choice) << why;
    EXPECT_THAT(choice->cards, IsEmpty());
    EXPECT_THAT(choice->said, ElementsAre("lanes run on the CPU: " + why));
    const auto refused = choose("cuda", found);
    ASSERT_FALSE(refused) << why;
    EXPECT_EQ(refused.error().message, why);
  }
}

TEST(DeviceChoiceTest, CudaVisibleDevicesIsKeptTo) {
  const CardList list = three_cards();
  const auto visible = [&](const std::string& text) { return numbers(visible_cards(list.cards, text).value()); };
  EXPECT_THAT(numbers(visible_cards(list.cards, std::nullopt).value()), ElementsAre(0U, 1U, 2U));
  EXPECT_THAT(visible("2,0"), ElementsAre(2U, 0U));
  EXPECT_THAT(visible("GPU-22aa, 1"), ElementsAre(2U, 1U));
  EXPECT_THAT(visible("GPU-2"), ElementsAre(2U)) << "the beginning of one is enough";
  EXPECT_THAT(visible("0,7,2"), ElementsAre(0U)) << "what follows one that is none is not seen";
  EXPECT_THAT(visible("1,1,2"), ElementsAre(1U));
  for (const char* none : {"", "-1", "NoDevFiles"}) EXPECT_THAT(visible(none), IsEmpty()) << none;
  EXPECT_FALSE(visible_cards(list.cards, "MIG-5"));
  EXPECT_THAT(numbers(choose("cuda:0", list, "2,0")->cards), ElementsAre(2U)) << "numbers are among the visible ones";
  EXPECT_EQ(choose("cuda:2", list, "2,0").error().message, "no such card: cuda:2; cuda:0 to cuda:1 are here");
  EXPECT_EQ(choose("cuda", list, "").error().message, "no card here that CUDA_VISIBLE_DEVICES shows");
}

}  // namespace
}  // namespace kiln::worker
