// The coordinator as a process: one thread that owns the state machine, the socket and the journal's end. Everything that
// it sends waits until the journal holds what it rests on.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/published.h"
#include "coordinator/blob_keeper.h"
#include "coordinator/effect_gate.h"
#include "coordinator/farm_journal.h"
#include "coordinator/grant_issuer.h"
#include "coordinator/key_register.h"
#include "net/farm_codec.h"
#include "net/router_socket.h"

namespace kiln::coordinator {

inline constexpr std::chrono::milliseconds kFarmTick{20};     // after events: what came together is decided together
inline constexpr std::chrono::milliseconds kFarmIdleTick{500};  // deadlines, when nothing happens
inline constexpr int kMessagesPerTurn = 512;
inline constexpr std::size_t kQueuedMax = 20'000;  // messages for one peer beyond its socket's queue; then they are dropped
inline constexpr int kAnnouncedPerTurn = 16;      // jobs, to the store
inline constexpr std::size_t kGateMax = 200'000;  // effects that wait for the disk; beyond it nothing new is read

struct FarmServerOptions {
  std::string listen = "tcp://127.0.0.1:0";
  net::SocketSecurity security;
  FarmRules rules;
  std::string version;
};

struct FarmServerStats {
  std::uint64_t messages = 0;
  std::uint64_t malformed = 0;
  std::uint64_t wrong_version = 0;
  std::uint64_t wrong_role = 0;
  std::uint64_t unsent = 0;   // the peer was gone or did not read
  std::uint64_t gate_full = 0;
  std::uint64_t queued = 0;   // the peer's queue was full: sent later
  std::uint64_t too_large = 0;  // answers that no message holds
};

class FarmServer {
 public:
  // `durable` is what the journal held. Borrowed things outlive the server.
  FarmServer(FarmServerOptions options, Durable durable, net::RouterSocket socket, FarmJournal& journal,
             const GrantIssuer& grants, BlobKeeper& keeper, KeyRegister& keys);

  [[nodiscard]] const std::string& endpoint() const { return socket_.endpoint(); }
  // Until `stop_fd` is readable, or the journal fails.
  [[nodiscard]] Status run(int stop_fd);
  // As of the last turn; any thread.
  [[nodiscard]] std::shared_ptr<const std::string> metrics() const { return metrics_.latest(); }
  [[nodiscard]] bool ready() const { return ready_; }
  // What all facts that were appended come to; while run() does not run.
  [[nodiscard]] const Durable& durable() const { return state_.durable; }

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] Moment now() const;
  void read_messages();
  void on_message(const net::Received& received);
  void on_decoded(const net::Received& received, net::FarmMessage message);
  void on_undecodable(const net::Received& received, const Error& error);
  void on_worker(const net::Received& received, const net::FromWorker& body);
  void apply(const FarmEvent& event);
  void carry_out_ready();
  void carry_out(FarmEffect& effect);
  void tell(Tell& tell);
  void send(const std::string& connection, net::FarmMessage message);
  void send_queued();
  void announce_some();
  void publish_metrics();
  [[nodiscard]] std::int64_t unix_s() const;

  FarmServerOptions options_;
  FarmState state_;
  net::RouterSocket socket_;
  FarmJournal& journal_;
  const GrantIssuer& grants_;
  BlobKeeper& keeper_;
  KeyRegister& keys_;
  EffectGate gate_;
  std::map<std::string, std::deque<std::string>> queued_;  // by connection, behind the socket's own queue
  std::deque<net::JobName> unannounced_;
  std::uint64_t appended_ = 0;
  FarmServerStats stats_;
  Clock::time_point ticked_;
  Clock::time_point published_;
  Published<std::string> metrics_;
  std::atomic<bool> ready_ = false;
};

// Counters and gauges of a coordinator, as text.
[[nodiscard]] std::string farm_metrics(const FarmState& state, const FarmServerStats& stats,
                                       const net::SocketStats& socket, std::size_t gate);

}  // namespace kiln::coordinator
