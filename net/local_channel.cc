#include "net/local_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kiln::net {
namespace {

struct Header {
  std::uint32_t bytes = 0;
  std::uint32_t descriptors = 0;
};
static_assert(sizeof(Header) == 8);

using Clock = std::chrono::steady_clock;

Status wait_writable(int fd, Clock::time_point until) {
  pollfd poll_fd{fd, POLLOUT, 0};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  const int ready = left <= 0 ? 0 : ::poll(&poll_fd, 1, static_cast<int>(left));
  if (ready < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
  if (ready == 0) return fail(make_error(ErrorCode::kDeadlineExceeded, "the peer does not read"));
  return {};
}

// One sendmsg with whatever control data is set, repeated until every byte is gone. The control data
// travels with the first byte and is dropped from later calls.
Status send_all(int fd, msghdr message, Clock::time_point until) {
  while (message.msg_iov->iov_len > 0) {
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      KILN_TRY(wait_writable(fd, until));
      continue;
    }
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
      return fail(make_error(ErrorCode::kUnavailable, "the peer is gone"));
    }
    if (n < 0) return fail(errno_error(errno, "sendmsg"));
    message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + n;
    message.msg_iov->iov_len -= static_cast<std::size_t>(n);
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
  return {};
}

using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int) * kLocalDescriptorsMax)>;

// Descriptors that came with this piece; they are ours from here on, whatever happens next.
void take_descriptors(msghdr& message, std::vector<UniqueFd>& out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      out.emplace_back(fd);
    }
  }
}

constexpr ssize_t kNotYet = -1;

// Bytes taken; 0: the peer closed.
Result<ssize_t> receive_piece(int fd, std::span<char> into, int flags, std::vector<UniqueFd>& descriptors) {
  alignas(cmsghdr) ControlBuffer control;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n = -1;
  do {
    n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | flags);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return kNotYet;
  if (n < 0 && errno == ECONNRESET) return 0;
  if (n < 0) return fail(errno_error(errno, "recvmsg"));
  take_descriptors(message, descriptors);
  return n;
}

}  // namespace

Result<std::pair<LocalChannel, LocalChannel>> LocalChannel::make_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail(errno_error(errno, "socketpair"));
  }
  return std::pair(LocalChannel(UniqueFd(fds[0])), LocalChannel(UniqueFd(fds[1])));
}

Status LocalChannel::send(std::string_view bytes, const std::vector<int>& descriptors,
                          std::chrono::milliseconds deadline) {
  if (bytes.size() > kLocalMessageBytesMax || descriptors.size() > kLocalDescriptorsMax) {
    return fail(make_error(ErrorCode::kResourceExhausted, "a message of {} bytes and {} descriptors is too large",
                           bytes.size(), descriptors.size()));
  }
  const auto until = Clock::now() + deadline;
  Header header{static_cast<std::uint32_t>(bytes.size()), static_cast<std::uint32_t>(descriptors.size())};
  iovec piece{&header, sizeof header};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) ControlBuffer control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(c), descriptors.data(), sizeof(int) * descriptors.size());
  }
  KILN_TRY(send_all(socket_.get(), message, until));
  iovec body{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr rest{};
  rest.msg_iov = &body;
  rest.msg_iovlen = 1;
  return send_all(socket_.get(), rest, until);
}

Result<std::optional<LocalMessage>> LocalChannel::receive() {
  KILN_TRY_ASSIGN(LocalArrival arrival, advance(0));
  return std::move(arrival.message);
}

Result<LocalArrival> LocalChannel::receive_ready() { return advance(MSG_DONTWAIT); }

Result<LocalArrival> LocalChannel::advance(int flags) {
  while (true) {
    const bool in_head = done_ < head_.size();
    const std::span<char> whole = in_head ? std::span<char>(head_) : std::span<char>(partial_.bytes);
    const std::span<char> rest = whole.subspan(in_head ? done_ : done_ - head_.size());
    if (rest.empty()) return finish();
    KILN_TRY_ASSIGN(const ssize_t n, receive_piece(socket_.get(), rest, flags, partial_.descriptors));
    if (n == kNotYet) return LocalArrival{};
    if (n == 0) return LocalArrival{std::nullopt, true};
    done_ += static_cast<std::size_t>(n);
    if (done_ == head_.size()) KILN_TRY(begin_body());
  }
}

Status LocalChannel::begin_body() {
  Header header;
  std::memcpy(&header, head_.data(), sizeof header);
  if (header.bytes > kLocalMessageBytesMax) {
    return fail(make_error(ErrorCode::kDataLoss, "a message of {} bytes is announced", header.bytes));
  }
  partial_.bytes.resize(header.bytes);
  return {};
}

Result<LocalArrival> LocalChannel::finish() {
  Header header;
  std::memcpy(&header, head_.data(), sizeof header);
  LocalMessage message = std::exchange(partial_, {});
  done_ = 0;
  if (message.descriptors.size() != header.descriptors) {
    return fail(make_error(ErrorCode::kDataLoss, "{} descriptors announced, {} came", header.descriptors,
                           message.descriptors.size()));
  }
  return LocalArrival{std::move(message), false};
}

}  // namespace kiln::net
