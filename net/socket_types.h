// What the sockets of this folder have in common: security, bounds, counters. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "net/allow_list.h"
#include "net/curve_keys.h"
#include "net/farm_limits.h"

namespace kiln::net {

// Bounds. What goes beyond one of them is refused and counted in SocketStats.
inline constexpr std::size_t kSocketMessageBytesMax = kFarmMessageBytesMax;  // control only: bulk goes over HTTP
inline constexpr int kRouterQueueMax = 256;   // messages that wait for one peer, and that wait from one peer
inline constexpr int kDealerQueueMax = 1024;  // the same at the end that connects
inline constexpr int kBacklogMax = 1024;      // connections that wait to be accepted: a farm comes back at once
inline constexpr int kDropsPerReceiveMax = 100;   // unwanted messages that one receive() throws away

// A connection is dead when nothing came for kHeartbeatTimeout; that is transport only, and says nothing of
// whether the program behind it works.
inline constexpr std::chrono::milliseconds kHeartbeatInterval{5'000};
inline constexpr std::chrono::milliseconds kHeartbeatTimeout{15'000};
inline constexpr std::chrono::milliseconds kHandshakeTimeout{5'000};
inline constexpr std::chrono::milliseconds kReconnectFirst{100};
inline constexpr std::chrono::milliseconds kReconnectMost{5'000};
inline constexpr std::chrono::milliseconds kLinger{1'000};  // for what is still to be sent when a socket closes

struct SocketSecurity {
  std::optional<CurveKeyPair> own;  // absent: no CURVE, and then only on this machine
  std::string server_public_z85;    // DealerSocket: whom to trust; with `own`
};

// Who sent a message, as the key check vouches for. Through a door without keys, which is open to this machine
// only, nobody is vouched for: is_local, and every role is taken on trust.
struct AuthenticatedPeer {
  bool is_local = false;
  PeerRole role = PeerRole::kClient;  // meaningless when is_local
  std::string name;                   // of the allow-list; empty when is_local

  bool operator==(const AuthenticatedPeer&) const = default;
  [[nodiscard]] bool may_act_as(PeerRole wanted) const { return is_local || role == wanted; }
};

struct SocketStats {
  std::uint64_t received_messages = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_messages = 0;
  std::uint64_t sent_bytes = 0;

  // Came, and went no further:
  std::uint64_t dropped_unchecked = 0;        // through a keyed door, but not past the key check
  std::uint64_t dropped_not_allowed = 0;      // its key is no longer on the allow-list
  std::uint64_t dropped_check_down = 0;       // the key check does not run
  std::uint64_t dropped_chosen_identity = 0;  // the peer chose its identity, and could have chosen another's
  std::uint64_t dropped_malformed = 0;        // not exactly one part
  std::uint64_t dropped_too_large = 0;
  std::uint64_t receives_cut = 0;  // kDropsPerReceiveMax of them in a row: the owner had other things to do first

  // Was not sent:
  std::uint64_t refused_peer_gone = 0;
  std::uint64_t refused_queue_full = 0;
  std::uint64_t refused_too_large = 0;

  // Connections. A peer that sends more than kSocketMessageBytesMax at once is cut off, and counts as disconnected.
  std::uint64_t connections = 0;
  std::uint64_t handshakes_failed = 0;  // no key at a keyed door, wrong key of the server, key refused, no ZeroMQ
  std::uint64_t disconnects = 0;
};

}  // namespace kiln::net
