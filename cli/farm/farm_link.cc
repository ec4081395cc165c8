#include "cli/farm/farm_link.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "base/file_system.h"
#include "base/text.h"

namespace kiln::cli {
namespace {

constexpr std::uint64_t kSmallFileBytesMax = 64U << 10U;
constexpr std::chrono::milliseconds kAskAgain{5'000};
constexpr std::chrono::milliseconds kLookAgain{50};

// A key as it was given, or the file that holds it.
Result<std::string> public_key_text(const std::string& given) {
  if (net::is_z85_key(given)) return given;
  if (const auto text = read_file(given, kSmallFileBytesMax); text) {
    std::string key(trim(*text));
    if (net::is_z85_key(key)) return key;
  }
  return fail(bad_config("--coordinator-key: '{}' is neither a public key nor a file with one", given));
}

Result<net::SocketSecurity> security_of(const FarmAddress& address) {
  net::SocketSecurity security;
  if (address.key_file.empty()) return security;
  KILN_TRY_ASSIGN(security.own, net::load_curve_keys(posix_file_system(), address.key_file));
  if (address.coordinator_key.empty()) {
    return fail(bad_config("--key needs --coordinator-key: the public key of the coordinator"));
  }
  KILN_TRY_ASSIGN(security.server_public_z85, public_key_text(address.coordinator_key));
  return security;
}

}  // namespace

std::string encode_notice(const FarmNotice& notice) {
  const nlohmann::json out = {
      {"endpoint", notice.endpoint}, {"http", notice.http}, {"store", notice.store}, {"pid", notice.pid}};
  return out.dump() + "\n";
}

Result<FarmNotice> read_notice(const std::string& state_dir) {
  const std::string path = state_dir + "/" + std::string(kNoticeName);
  auto text = read_file(path, kSmallFileBytesMax);
  if (!text) {
    return fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable,
                           "no coordinator runs in {}: name one with --coordinator, or start one (kiln coordinator)",
                           state_dir));
  }
  try {
    const auto json = nlohmann::json::parse(*text);
    return FarmNotice{json.at("endpoint"), json.at("http"), json.at("store"), json.at("pid")};
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, ExitCode::kUnreachable, "{}: {}", path, error.what()));
  }
}

namespace {

// A coordinator that is starting writes it when its doors are open: commands behind it in a script wait for that.
Result<FarmNotice> wait_for_notice(const std::string& state_dir, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    auto notice = read_notice(state_dir);
    if (notice || std::chrono::steady_clock::now() >= until) return notice;
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace

Result<std::unique_ptr<FarmLink>> FarmLink::open(const FarmAddress& address) {
  const bool told = address.timeout.count() > 0;
  std::string endpoint = address.endpoint;
  if (endpoint.empty()) {
    KILN_TRY_ASSIGN(const FarmNotice notice, wait_for_notice(address.state_dir, told ? address.timeout : kConnectDeadline));
    endpoint = notice.endpoint;
  }
  KILN_TRY_ASSIGN(const net::SocketSecurity security, security_of(address));
  std::unique_ptr<FarmLink> link(new FarmLink(std::make_unique<net::ZmqContext>()));
  KILN_TRY_ASSIGN(link->socket_, net::DealerSocket::connect(*link->context_, endpoint, security));
  if (told) link->connect_deadline_ = link->answer_deadline_ = address.timeout;
  const Status connected = link->socket_->wait_connected(link->connect_deadline_);
  if (connected) return link;
  const bool says_where = connected.error().message.find(endpoint) != std::string::npos;
  return fail(says_where ? connected.error() : connected.error().with_context(endpoint));
}

Status FarmLink::send(const std::string& bytes) {
  KILN_TRY(socket_->wait_connected(connect_deadline_));
  return socket_->send(bytes);
}

Result<net::ClientReply> FarmLink::ask(const net::ClientRequest& request, std::chrono::milliseconds longer) {
  using Clock = std::chrono::steady_clock;
  const std::chrono::milliseconds deadline = answer_deadline_ + longer;
  net::FarmMessage question;
  question.request = next_request_++;
  question.body = request;
  const std::string bytes = net::encode(question);
  const auto until = Clock::now() + deadline;
  KILN_TRY(send(bytes));
  std::uint64_t connection = socket_->connection().made;
  while (Clock::now() < until) {
    while (auto received = socket_->receive()) {
      KILN_TRY_ASSIGN(net::FarmMessage message, net::decode_farm_message(*received));
      auto* reply = std::get_if<net::ClientReply>(&message.body);
      if (reply == nullptr || message.request != question.request) continue;  // of an earlier question
      if (auto* refused = std::get_if<net::Refused>(reply)) return fail(std::move(refused->error));
      return std::move(*reply);
    }
    if (socket_->connection().made != connection && socket_->connection().state == net::ConnectionState::kConnected) {
      connection = socket_->connection().made;
      KILN_TRY(send(bytes));
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() > 0) (void)socket_->wait(std::min(left, kAskAgain));
  }
  return fail(make_error(ErrorCode::kDeadlineExceeded, ExitCode::kTimeout, "the coordinator did not answer within {} s",
                         deadline.count() / 1000));
}

}  // namespace kiln::cli
