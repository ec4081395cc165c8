// Bytes of the farm's frames and of the journal's facts <-> plain values. Any bytes decode or are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "net/farm_facts.h"
#include "net/farm_limits.h"
#include "net/farm_replies.h"
#include "net/farm_requests.h"
#include "net/farm_worker_messages.h"

namespace kiln::net {

// The versions that the sender speaks.
struct FarmVersions {
  std::uint32_t oldest = kFarmProtocolOldest;
  std::uint32_t newest = kFarmProtocolNewest;
  bool operator==(const FarmVersions&) const = default;
};

struct FarmMessage {
  std::uint64_t request = 0;  // a client's number, which its reply repeats
  std::variant<ClientRequest, ClientReply, FromWorker, ToWorker> body;
  FarmVersions versions;
  bool operator==(const FarmMessage&) const = default;
};

// What every version of the protocol can read of every other's frames: enough to answer "not with you".
struct FarmHead {
  FarmVersions versions;
  std::uint64_t request = 0;
};

[[nodiscard]] std::string encode(const FarmMessage& message);
// kDataLoss: no frame of the farm, or a value out of bounds; the message names the field. kFailedPrecondition with
// ExitCode::kVersionMismatch: a frame of a peer that shares no version with this program.
[[nodiscard]] Result<FarmMessage> decode_farm_message(std::string_view bytes,
                                                      std::size_t bytes_max = kFarmMessageBytesMax);
[[nodiscard]] Result<FarmHead> decode_farm_head(std::string_view bytes, std::size_t bytes_max = kFarmMessageBytesMax);
// What refuses a peer of other versions; both ranges are named.
[[nodiscard]] Status check_versions(const FarmVersions& peer);

inline constexpr std::uint32_t kFactFormat = 1;
[[nodiscard]] std::string encode(const Fact& fact);
[[nodiscard]] Result<Fact> decode_fact(std::string_view bytes);

}  // namespace kiln::net
