#include "net/http_exchange.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "net/http_head.h"

namespace kiln::net {
namespace {

constexpr std::size_t kPieceBytes = 256U << 10U;
constexpr std::size_t kHeadPieceBytes = 8U << 10U;
constexpr std::uint64_t kMib = 1U << 20U;
constexpr int kContinueStatus = 100;
constexpr std::chrono::milliseconds kLastWordDeadline{1'000};

}  // namespace

HttpExchange::HttpExchange(int socket, const HttpClientOptions& options) : socket_(socket), options_(options) {}

Status HttpExchange::receive_head_bytes(Deadline deadline) {
  const std::size_t before = pending_.size();
  pending_.resize(before + kHeadPieceBytes);
  const auto n = receive_some(socket_, std::as_writable_bytes(std::span(pending_)).subspan(before), deadline);
  pending_.resize(before + (n ? *n : 0));
  KILN_TRY(n);
  if (*n == 0) return fail(make_error(ErrorCode::kUnavailable, "the server closed the connection"));
  heard_ = true;
  return {};
}

Result<AnswerHead> HttpExchange::read_head(Deadline deadline) {
  AnswerParser parser;
  while (true) {
    KILN_TRY_ASSIGN(auto head, parser.take(pending_));
    if (head) return std::move(*head);
    KILN_TRY(receive_head_bytes(deadline));
  }
}

Status HttpExchange::send_upload(const HttpUpload& upload) {
  buffer_.resize(kPieceBytes);
  std::uint64_t done = 0;
  while (done < upload.bytes) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), upload.bytes - done));
    const ssize_t n = ::pread(upload.fd, buffer_.data(), wanted, static_cast<off_t>(upload.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "the file that is sent"));
    if (n == 0) return fail(make_error(ErrorCode::kFailedPrecondition, "the file that is sent became shorter"));
    KILN_TRY(send_all(socket_, std::span(buffer_).first(static_cast<std::size_t>(n)),
                      deadline_in(options_.mib_deadline)));
    done += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<AnswerHead> HttpExchange::answer_after(const Error& send_error) {
  reusable_ = false;
  if (send_error.code != ErrorCode::kUnavailable) return fail(send_error);
  auto head = read_head(deadline_in(kLastWordDeadline));
  return head && head->status >= 400 ? head : fail(send_error);
}

Result<AnswerHead> HttpExchange::call(const HttpCall& call) {
  HttpHeaders headers = call.headers;
  const std::uint64_t body_bytes = call.upload ? call.upload->bytes : call.text.size();
  if (body_bytes > 0 || (call.method != "GET" && call.method != "HEAD")) {
    headers.emplace_back("Content-Length", std::to_string(body_bytes));
  }
  const bool asks_first = call.upload && body_bytes > 0;
  if (asks_first) headers.emplace_back("Expect", "100-continue");
  std::string bytes = request_head(call.method, call.target, options_.server.text(), headers);
  bytes += call.text;
  const auto whole = std::chrono::milliseconds(options_.mib_deadline * static_cast<int>(1 + bytes.size() / kMib));
  KILN_TRY(send_all(socket_, std::as_bytes(std::span(bytes)), deadline_in(whole)));
  Result<AnswerHead> head = read_head(deadline_in(options_.answer_deadline));
  bool body_owed = asks_first;
  if (head && head->status == kContinueStatus && asks_first) {
    const Status sent = send_upload(*call.upload);
    body_owed = false;
    head = sent ? read_head(deadline_in(options_.answer_deadline)) : answer_after(sent.error());
    if (!sent) body_owed = true;
  }
  KILN_TRY(head);
  left_ = call.method == "HEAD" ? 0 : head->content_bytes;
  reusable_ = head->keep_alive && !body_owed;
  piece_deadline_ = deadline_in(options_.mib_deadline);
  return head;
}

Result<std::span<const std::byte>> HttpExchange::next_piece() {
  if (left_ == 0) return std::span<const std::byte>();
  buffer_.resize(kPieceBytes);
  std::size_t bytes = std::min(pending_.size(), buffer_.size());
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, left_));
  if (bytes > 0) {
    std::copy_n(std::as_bytes(std::span(pending_)).begin(), bytes, buffer_.begin());
    pending_.erase(0, bytes);
  } else {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), left_));
    KILN_TRY_ASSIGN(bytes, receive_some(socket_, std::span(buffer_).first(wanted), piece_deadline_));
    if (bytes == 0) return fail(make_error(ErrorCode::kUnavailable, "the connection ended {} bytes early", left_));
  }
  left_ -= bytes;
  since_deadline_ += bytes;
  if (since_deadline_ >= kMib) {
    since_deadline_ = 0;
    piece_deadline_ = deadline_in(options_.mib_deadline);
  }
  return std::span<const std::byte>(buffer_).first(bytes);
}

}  // namespace kiln::net
