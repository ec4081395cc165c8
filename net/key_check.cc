#include "net/key_check.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace kiln::net {
namespace {

constexpr std::size_t kSealBytes = 16;

std::string random_seal() {
  std::array<std::uint8_t, kSealBytes> bytes{};
  KILN_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
             "no random bytes: errno {}", errno);
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

KeyCheck::KeyCheck() : list_(std::make_shared<const AllowList>()), seal_(random_seal()) {}

void KeyCheck::set_allow_list(AllowList list) {
  auto next = std::make_shared<const AllowList>(std::move(list));
  const std::lock_guard lock(mutex_);
  list_.swap(next);
}

std::shared_ptr<const AllowList> KeyCheck::allow_list() const {
  const std::lock_guard lock(mutex_);
  return list_;
}

std::optional<AllowedPeer> KeyCheck::find(std::string_view public_key) const {
  if (!running_) return std::nullopt;
  const auto list = allow_list();
  const AllowedPeer* peer = list->find(public_key);
  return peer == nullptr ? std::nullopt : std::optional<AllowedPeer>(*peer);
}

}  // namespace kiln::net
