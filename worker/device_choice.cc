#include "worker/device_choice.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "worker/card_probe.h"

namespace kiln::worker {
namespace {

constexpr std::string_view kCard = "cuda:";
constexpr std::string_view kMig = "MIG-";

std::optional<unsigned> card_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value >= kCardsMax) return std::nullopt;
  return value;
}

const Card* find_card(const std::vector<Card>& cards, std::string_view name) {
  const auto number = card_number(name);
  const auto found = std::find_if(cards.begin(), cards.end(), [&](const Card& card) {
    return number ? card.index == *number : card.uuid.starts_with(name);
  });
  return name.empty() || found == cards.end() ? nullptr : &*found;
}

bool holds(const std::vector<Card>& cards, const Card& card) {
  return std::any_of(cards.begin(), cards.end(), [&](const Card& one) { return one.index == card.index; });
}

// Of cards that were not named one by one: those that do not fit are left out.
CardChoice take_fitting(const std::vector<Card>& cards, TorchCuda torch) {
  CardChoice choice;
  for (const Card& card : cards) {
    const std::string misfit = card_misfit(card, torch);
    if (misfit.empty()) {
      choice.cards.push_back(card);
    } else {
      choice.said.push_back("left out: " + misfit);
    }
  }
  return choice;
}

Result<CardChoice> take_named(const std::vector<unsigned>& named, const std::vector<Card>& cards, TorchCuda torch) {
  CardChoice choice;
  for (const unsigned number : named) {
    if (number >= cards.size()) {
      return fail(make_error(ErrorCode::kNotFound, "no such card: cuda:{}; {}", number,
                             cards.empty() ? std::string("none is here")
                                           : fmt::format("cuda:0 to cuda:{} are here", cards.size() - 1)));
    }
    const std::string misfit = card_misfit(cards[number], torch);
    if (!misfit.empty()) return fail(make_error(ErrorCode::kFailedPrecondition, "{}", misfit));
    choice.cards.push_back(cards[number]);
  }
  return choice;
}

Result<CardChoice> take_cards(const DeviceWish& wish, const Result<CardList>& found,
                              const std::optional<std::string>& visible, TorchCuda torch) {
  if (!found) return fail(found.error());
  const std::string misfit = driver_misfit(*found, torch);
  if (!misfit.empty()) return fail(make_error(ErrorCode::kFailedPrecondition, "{}", misfit));
  KILN_TRY_ASSIGN(const auto cards, visible_cards(found->cards, visible));
  if (wish.kind == DeviceKind::kNamedCards) return take_named(wish.cards, cards, torch);
  CardChoice choice = take_fitting(cards, torch);
  if (!choice.cards.empty()) return choice;
  if (!choice.said.empty()) return fail(make_error(ErrorCode::kFailedPrecondition, "{}", choice.said.front()));
  return fail(make_error(ErrorCode::kNotFound, "no card here{}",
                         found->cards.empty() ? "" : " that CUDA_VISIBLE_DEVICES shows"));
}

}  // namespace

Result<DeviceWish> parse_device(std::string_view text) {
  if (text == "cpu") return DeviceWish{};
  if (text == "auto") return DeviceWish{DeviceKind::kAuto, {}};
  if (text == "cuda") return DeviceWish{DeviceKind::kAllCards, {}};
  DeviceWish wish{DeviceKind::kNamedCards, {}};
  for (const std::string_view part : split(text, ',')) {
    const std::string_view word = trim(part);
    const auto number = word.starts_with(kCard) ? card_number(word.substr(kCard.size())) : std::nullopt;
    if (!number) {
      return fail(bad_config("device '{}': it is cpu, cuda (every card), cuda:N, a list such as cuda:0,cuda:2, or auto",
                             one_line(std::string(text))));
    }
    if (std::find(wish.cards.begin(), wish.cards.end(), *number) != wish.cards.end()) {
      return fail(bad_config("device '{}': cuda:{} stands in it twice; a card has one lane", one_line(std::string(text)), *number));
    }
    wish.cards.push_back(*number);
  }
  return wish;
}

bool wants_cards(const DeviceWish& wish) {
  return wish.kind == DeviceKind::kAllCards || wish.kind == DeviceKind::kNamedCards;
}

Result<std::vector<Card>> visible_cards(const std::vector<Card>& cards, const std::optional<std::string>& visible) {
  if (!visible) return cards;
  std::vector<Card> out;
  for (const std::string_view part : split(*visible, ',')) {
    const std::string_view name = trim(part);
    if (name.starts_with(kMig)) {
      return fail(make_error(ErrorCode::kUnimplemented, "CUDA_VISIBLE_DEVICES names {}: lanes run on whole cards, not on "
                             "their MIG instances", one_line(std::string(name))));
    }
    const Card* card = find_card(cards, name);
    if (card == nullptr || holds(out, *card)) break;
    out.push_back(*card);
  }
  return out;
}

Result<CardChoice> choose_cards(const DeviceWish& wish, const Result<CardList>& found,
                                const std::optional<std::string>& visible, TorchCuda torch) {
  if (wish.kind == DeviceKind::kCpu) return CardChoice{};
  auto choice = take_cards(wish, found, visible, torch);
  if (choice || wish.kind != DeviceKind::kAuto) return choice;
  return CardChoice{{}, {fmt::format("lanes run on the CPU: {}", choice.error().message)}};
}

}  // namespace kiln::worker
