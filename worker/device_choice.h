// Which cards the lanes of a worker run on: what was asked for, held against what the host has. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/card_probe.h"

namespace kiln::worker {

enum class DeviceKind { kCpu, kAuto, kAllCards, kNamedCards };

// What --device and run.device say.
struct DeviceWish {
  DeviceKind kind = DeviceKind::kCpu;
  std::vector<unsigned> cards;  // of kNamedCards, in the order of their lanes: numbers among the visible ones
};
// "cpu", "auto", "cuda", "cuda:0", "cuda:0,cuda:2". Anything else is a bad configuration.
[[nodiscard]] Result<DeviceWish> parse_device(std::string_view text);
// Cards are asked for, and the CPU would not do.
[[nodiscard]] bool wants_cards(const DeviceWish& wish);

// Those that CUDA_VISIBLE_DEVICES leaves to us, in its order: numbers (in PCI bus order) or UUIDs, or their beginnings, up
// to the first that is none. nullopt: the variable is not set, and all are.
[[nodiscard]] Result<std::vector<Card>> visible_cards(const std::vector<Card>& cards,
                                                      const std::optional<std::string>& visible);

struct CardChoice {
  std::vector<Card> cards;        // one lane on each; none: lanes of the CPU
  std::vector<std::string> said;  // lines for people: what was left out, why the CPU was taken
};
// `found`: what probe_cards returned. kNotFound, kFailedPrecondition and the probe's own: cards were asked for and cannot
// be had.
[[nodiscard]] Result<CardChoice> choose_cards(const DeviceWish& wish, const Result<CardList>& found,
                                              const std::optional<std::string>& visible, TorchCuda torch);

}  // namespace kiln::worker
