#include "net/zap_server.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/zmq_socket.h"

namespace kiln::net {
namespace {

constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";
constexpr std::string_view kZapVersion = "1.0";
constexpr std::string_view kAllowed = "200";
constexpr std::string_view kDenied = "400";
constexpr std::size_t kQuestionParts = 7;  // version, id, domain, address, identity, mechanism, credentials
constexpr std::size_t kCurveKeyBytes = 32;
constexpr std::size_t kPartBytesMax = 1024;

struct Question {
  std::string id;
  std::string address;
  std::string public_key;  // Z85; empty: not a question about a key
};

struct Answer {
  std::string_view status = kDenied;
  std::string user_id;
  std::string metadata;
};

std::string z85_of(const std::string& bytes) {
  if (bytes.size() != kCurveKeyBytes) return {};
  std::array<char, kZ85KeyChars + 1> text{};
  return ::zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

// ZMTP's form of a property: length and name, length in four bytes and value.
std::string property(std::string_view name, std::string_view value) {
  std::string text(1, static_cast<char>(name.size()));
  text += name;
  for (unsigned shift = 32; shift > 0; shift -= 8) text += static_cast<char>((value.size() >> (shift - 8)) & 0xFFU);
  return text.append(value);
}

// All parts of one request. Empty: nothing came.
std::vector<std::string> receive_parts(void* socket) {
  std::vector<std::string> parts;
  std::array<char, kPartBytesMax> buffer{};
  for (int more = 1; more != 0;) {
    const int size = ::zmq_recv(socket, buffer.data(), buffer.size(), parts.empty() ? ZMQ_DONTWAIT : 0);
    if (size < 0) return {};
    parts.emplace_back(buffer.data(), std::min(static_cast<std::size_t>(size), buffer.size()));
    std::size_t more_bytes = sizeof more;
    if (::zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_bytes) != 0) return {};
  }
  return parts;
}

bool send_parts(void* socket, const std::array<std::string_view, 6>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const int flags = i + 1 < parts.size() ? ZMQ_SNDMORE : 0;
    if (::zmq_send(socket, parts[i].data(), parts[i].size(), flags) < 0) return false;
  }
  return true;
}

}  // namespace

struct ZapServer::Impl {
  std::shared_ptr<KeyCheck> check;
  ZmqSocket socket;
  UniqueFd stop_event;
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> denied = 0;
  std::atomic<std::uint64_t> unnamed = 0;
  std::atomic<std::uint64_t> malformed = 0;
  std::atomic<bool> forget_denied = false;
  std::set<std::string> denied_keys;  // of the thread
  std::thread thread;

  Impl(std::shared_ptr<KeyCheck> the_check, ZmqSocket the_socket)
      : check(std::move(the_check)), socket(std::move(the_socket)),
        stop_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    KILN_CHECK(stop_event.valid(), "eventfd: errno {}", errno);
  }
  ~Impl() { stop(); }

  void start_thread() {
    // Signals are for the threads that wait for them.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    check->set_running(true);
    thread = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void stop() {
    if (!thread.joinable()) return;
    check->set_running(false);  // first: from here on nothing counts as checked
    const std::uint64_t one = 1;
    KILN_CHECK(::write(stop_event.get(), &one, sizeof one) == sizeof one, "eventfd: errno {}", errno);
    thread.join();
  }

  void run() {
    try {
      while (wait_for_question()) answer_one();
    } catch (const std::exception& error) {
      log::error("the key check has ended, and no message from another machine is taken any more: {}", error.what());
    }
    check->set_running(false);
    ::zmq_unbind(socket.get(), kZapEndpoint);  // another may start at once
  }

  bool wait_for_question() {
    std::array<zmq_pollitem_t, 2> items{{{socket.get(), 0, ZMQ_POLLIN, 0}, {nullptr, stop_event.get(), ZMQ_POLLIN, 0}}};
    while (::zmq_poll(items.data(), static_cast<int>(items.size()), -1) < 0) {
      if (errno == EINTR) continue;
      log::error("the key check has ended, and no message from another machine is taken any more: {}",
                 ::zmq_strerror(errno));
      return false;
    }
    return items[1].revents == 0;
  }

  void answer_one() {
    const std::vector<std::string> parts = receive_parts(socket.get());
    if (parts.empty()) return;
    Question question;
    if (parts.size() == kQuestionParts && parts[0] == kZapVersion) {
      question.id = parts[1];
      question.address = parts[3];
      if (parts[2] == kZapDomain && parts[5] == "CURVE") question.public_key = z85_of(parts[6]);
    }
    const Answer answer = decide(question);
    const std::string_view text = answer.status == kAllowed ? "OK" : "not on the allow-list";
    if (!send_parts(socket.get(), {kZapVersion, question.id, answer.status, text, answer.user_id, answer.metadata})) {
      log::warn("the key check could not answer: {}", ::zmq_strerror(errno));
    }
  }

  Answer decide(const Question& question) {
    if (question.public_key.empty()) {
      ++malformed;
      return {};
    }
    const auto peer = check->find(question.public_key);
    if (!peer) {
      ++denied;
      name_denied(question);
      return {};
    }
    ++accepted;
    return {kAllowed, peer->user_id(),
            property(kSealProperty, check->seal()) + property(kKeyProperty, question.public_key)};
  }

  // Once for each key, since whoever is refused comes back at once; a new list begins anew.
  void name_denied(const Question& question) {
    if (forget_denied.exchange(false)) denied_keys.clear();
    if (denied_keys.contains(question.public_key)) return;
    if (denied_keys.size() == kDeniedKeysNamedMax) {
      ++unnamed;
      return;
    }
    denied_keys.insert(question.public_key);
    log::warn("the key {} at {} is not on the allow-list: refused", question.public_key, question.address);
  }
};

ZapServer::ZapServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ZapServer::ZapServer(ZapServer&&) noexcept = default;
ZapServer::~ZapServer() = default;

Result<ZapServer> ZapServer::start(ZmqContext& context, AllowList list) {
  KILN_TRY_ASSIGN(ZmqSocket socket, ZmqSocket::open(context, ZMQ_REP));
  KILN_TRY(socket.set(ZMQ_LINGER, 0));
  if (::zmq_bind(socket.get(), kZapEndpoint) != 0) {
    if (errno != EADDRINUSE) return fail(zmq_error(kZapEndpoint));
    return fail(make_error(ErrorCode::kAlreadyExists, "this context has a key check already"));
  }
  context.key_check()->set_allow_list(std::move(list));
  auto impl = std::make_unique<Impl>(context.key_check(), std::move(socket));
  impl->start_thread();
  return ZapServer(std::move(impl));
}

void ZapServer::set_allow_list(AllowList list) {
  impl_->check->set_allow_list(std::move(list));
  impl_->forget_denied = true;
}

std::shared_ptr<const AllowList> ZapServer::allow_list() const { return impl_->check->allow_list(); }
bool ZapServer::ready() const { return impl_->check->running(); }
ZapStats ZapServer::stats() const { return {impl_->accepted, impl_->denied, impl_->unnamed, impl_->malformed}; }
void ZapServer::stop() { impl_->stop(); }

}  // namespace kiln::net
