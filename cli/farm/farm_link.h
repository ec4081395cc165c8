// A client's way to a coordinator: one question, one answer, by a deadline.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "net/dealer_socket.h"
#include "net/farm_codec.h"

namespace kiln::cli {

inline constexpr std::chrono::milliseconds kConnectDeadline{5'000};
inline constexpr std::chrono::milliseconds kAnswerDeadline{20'000};

// Where the coordinator is and with what key to come.
struct FarmAddress {
  std::string endpoint;         // "tcp://host:port"; empty: of the farm whose state folder is `state_dir`
  std::string key_file;         // our key pair; empty: none, which only a coordinator on this machine accepts
  std::string coordinator_key;  // its public key (Z85), or a file that holds it
  std::string state_dir;
  std::chrono::milliseconds timeout{0};  // for the connection, and for each answer; 0: kConnectDeadline, kAnswerDeadline
};

// What a coordinator leaves in its state folder for programs of the same user.
struct FarmNotice {
  std::string endpoint;
  std::string http;
  std::string store;
  int pid = 0;
};
inline constexpr std::string_view kNoticeName = "coordinator.json";
[[nodiscard]] std::string encode_notice(const FarmNotice& notice);
[[nodiscard]] Result<FarmNotice> read_notice(const std::string& state_dir);

// One owner thread.
class FarmLink {
 public:
  // Exit code 4: nobody answers there. 5: our key is refused.
  [[nodiscard]] static Result<std::unique_ptr<FarmLink>> open(const FarmAddress& address);

  // An answer that refuses is an error, with the coordinator's own code and words. A question that got lost with a
  // connection is asked again: every request may be repeated. `longer`: what the coordinator was asked to wait itself.
  [[nodiscard]] Result<net::ClientReply> ask(const net::ClientRequest& request, std::chrono::milliseconds longer = {});
  // The answer as it must be.
  template <typename Answer>
  [[nodiscard]] Result<Answer> ask_for(const net::ClientRequest& request, std::chrono::milliseconds longer = {}) {
    KILN_TRY_ASSIGN(net::ClientReply reply, ask(request, longer));
    if (auto* answer = std::get_if<Answer>(&reply)) return std::move(*answer);
    return fail(make_error(ErrorCode::kInternal, "the coordinator answered something else"));
  }

 private:
  explicit FarmLink(std::unique_ptr<net::ZmqContext> context) : context_(std::move(context)) {}
  [[nodiscard]] Status send(const std::string& bytes);

  std::unique_ptr<net::ZmqContext> context_;
  std::optional<net::DealerSocket> socket_;
  std::chrono::milliseconds connect_deadline_ = kConnectDeadline;
  std::chrono::milliseconds answer_deadline_ = kAnswerDeadline;
  std::uint64_t next_request_ = 1;
};

}  // namespace kiln::cli
