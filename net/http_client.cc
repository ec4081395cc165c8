#include "net/http_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <vector>

#include "net/http_exchange.h"

namespace kiln::net {
namespace {

Status write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "the file that is fetched"));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

bool peer_is_silent(int socket) {
  char byte = 0;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool is_worth_another_try(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

// What becomes of an answer's body. `begin` sees the head of every answer below 400.
struct BodyTaker {
  std::function<Status(const AnswerHead&)> begin;
  std::function<Status(std::span<const std::byte>)> append;
};

}  // namespace

class HttpClient::Impl {
 public:
  explicit Impl(HttpClientOptions client_options) : options(std::move(client_options)) {}

  Result<HttpAnswer> exchange(const HttpCall& call, const BodyTaker& taker);
  Result<HttpAnswer> exchange_to_text(const HttpCall& call, std::uint64_t bytes_max);
  Status wait_before_resume(int tries);
  void abort();

  const HttpClientOptions options;
  std::atomic<std::uint64_t> resumes{0};
  std::atomic<std::uint64_t> not_kept{0};

 private:
  struct Wire {
    UniqueFd socket;
    bool reused = false;
  };
  Result<Wire> take_wire(bool may_reuse);
  void give_back(UniqueFd socket, bool reusable);
  Result<HttpAnswer> finish(HttpExchange& exchange, const AnswerHead& head, const BodyTaker& taker);
  Result<HttpAnswer> attempt(const HttpCall& call, const BodyTaker& taker, bool may_reuse, bool& again);

  std::mutex mutex_;
  std::condition_variable aborted_changed_;
  bool aborted_ = false;
  std::vector<UniqueFd> idle_;
  std::set<int> active_;
};

Result<HttpClient::Impl::Wire> HttpClient::Impl::take_wire(bool may_reuse) {
  {
    const std::lock_guard guard(mutex_);
    if (aborted_) return fail(make_error(ErrorCode::kCancelled, "cancelled"));
    while (may_reuse && !idle_.empty()) {
      Wire wire{std::move(idle_.back()), true};
      idle_.pop_back();
      if (!peer_is_silent(wire.socket.get())) continue;
      active_.insert(wire.socket.get());
      return wire;
    }
  }
  KILN_TRY_ASSIGN(UniqueFd socket, connect_tcp(options.server, deadline_in(options.connect_deadline)));
  const std::lock_guard guard(mutex_);
  active_.insert(socket.get());
  if (aborted_) ::shutdown(socket.get(), SHUT_RDWR);
  return Wire{std::move(socket), false};
}

void HttpClient::Impl::give_back(UniqueFd socket, bool reusable) {
  const std::lock_guard guard(mutex_);
  active_.erase(socket.get());
  if (!reusable || aborted_) return;
  if (idle_.size() < kHttpIdleConnectionsMax) {
    idle_.push_back(std::move(socket));
  } else {
    ++not_kept;
  }
}

void HttpClient::Impl::abort() {
  const std::lock_guard guard(mutex_);
  aborted_ = true;
  for (const int socket : active_) ::shutdown(socket, SHUT_RDWR);
  idle_.clear();
  aborted_changed_.notify_all();
}

Status HttpClient::Impl::wait_before_resume(int tries) {
  ++resumes;
  std::unique_lock lock(mutex_);
  if (aborted_changed_.wait_for(lock, options.resume_wait * (1U << static_cast<unsigned>(tries)),
                                [&] { return aborted_; })) {
    return fail(make_error(ErrorCode::kCancelled, "cancelled"));
  }
  return {};
}

Result<HttpAnswer> HttpClient::Impl::finish(HttpExchange& exchange, const AnswerHead& head, const BodyTaker& taker) {
  HttpAnswer answer{head.status, head.headers, head.content_bytes, {}};
  std::string problem_text;
  const bool failed = head.status >= 400;
  if (!failed) KILN_TRY(taker.begin(head));
  while (true) {
    KILN_TRY_ASSIGN(const auto piece, exchange.next_piece());
    if (piece.empty()) break;
    if (!failed) {
      KILN_TRY(taker.append(piece));
    } else if (problem_text.size() + piece.size() <= kHttpErrorBodyBytesMax) {
      problem_text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    } else {
      break;  // not ours; its connection is not used again
    }
  }
  if (failed) return fail(error_of_answer(head.status, answer.header("content-type"), problem_text));
  return answer;
}

Result<HttpAnswer> HttpClient::Impl::attempt(const HttpCall& call, const BodyTaker& taker, bool may_reuse,
                                             bool& again) {
  KILN_TRY_ASSIGN(Wire wire, take_wire(may_reuse));
  HttpExchange exchange(wire.socket.get(), options);
  const auto head = exchange.call(call);
  Result<HttpAnswer> answer = head ? finish(exchange, *head, taker) : fail(head.error());
  again = !head && wire.reused && !exchange.heard();
  give_back(std::move(wire.socket), exchange.reusable());
  return answer;
}

Result<HttpAnswer> HttpClient::Impl::exchange(const HttpCall& call, const BodyTaker& taker) {
  bool again = false;
  Result<HttpAnswer> answer = attempt(call, taker, true, again);
  // The server had closed the kept connection. All our requests may be sent twice.
  if (!answer && again) answer = attempt(call, taker, false, again);
  if (answer) return answer;
  {
    const std::lock_guard guard(mutex_);
    if (aborted_) return fail(make_error(ErrorCode::kCancelled, "cancelled"));
  }
  // Without the query, which holds a grant.
  return fail(answer.error().with_context(
      fmt::format("{} {} of {}", call.method, call.target.substr(0, call.target.find('?')), options.server.text())));
}

Result<HttpAnswer> HttpClient::Impl::exchange_to_text(const HttpCall& call, std::uint64_t bytes_max) {
  std::string body;
  const BodyTaker taker{
      [&](const AnswerHead& head) -> Status {
        if (call.method == "HEAD" || head.content_bytes <= bytes_max) return {};
        return fail(make_error(ErrorCode::kResourceExhausted, "an answer of {} bytes; at most {} are taken",
                               head.content_bytes, bytes_max));
      },
      [&](std::span<const std::byte> piece) -> Status {
        body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return {};
      }};
  KILN_TRY_ASSIGN(HttpAnswer answer, exchange(call, taker));
  answer.body = std::move(body);
  return answer;
}

namespace {

// A download that may take several connections.
class Download {
 public:
  Download(int fd, std::uint64_t bytes_max, std::optional<ByteRange> range)
      : fd_(fd), bytes_max_(bytes_max), range_(range) {}

  [[nodiscard]] bool begun() const { return begun_; }
  [[nodiscard]] std::uint64_t written() const { return written_; }

  HttpHeaders headers() const {
    HttpHeaders out;
    const std::uint64_t first = (range_ ? range_->offset : 0) + written_;
    if (range_) {
      out.emplace_back("Range", fmt::format("bytes={}-{}", first, range_->offset + range_->bytes - 1));
    } else if (written_ > 0) {
      out.emplace_back("Range", fmt::format("bytes={}-", first));
    }
    if (written_ > 0 && !etag_.empty()) out.emplace_back("If-Range", etag_);
    return out;
  }

  Status begin(const AnswerHead& head) {
    const bool partial = range_ || written_ > 0;
    const std::uint64_t first = (range_ ? range_->offset : 0) + written_;
    const std::string_view content_range = find_header(head.headers, "content-range");
    const bool right_part = head.status == 206 && content_range.starts_with(fmt::format("bytes {}-", first));
    if (partial ? !right_part : head.status != 200) {
      return fail(make_error(ErrorCode::kAborted, "the server sends another part than was asked for, or it changed"));
    }
    if (!begun_) {
      whole_bytes_ = head.content_bytes;
      etag_ = std::string(find_header(head.headers, "etag"));
    }
    begun_ = true;
    if (whole_bytes_ > bytes_max_) {
      return fail(make_error(ErrorCode::kResourceExhausted, "{} bytes; at most {} are taken", whole_bytes_, bytes_max_));
    }
    if (written_ + head.content_bytes == whole_bytes_) return {};
    return fail(make_error(ErrorCode::kAborted, "it changed while it was fetched"));
  }

  Status append(std::span<const std::byte> piece) {
    KILN_TRY(write_at(fd_, piece, written_));
    written_ += piece.size();
    return {};
  }

 private:
  int fd_;
  std::uint64_t bytes_max_;
  std::optional<ByteRange> range_;
  std::uint64_t written_ = 0;
  std::uint64_t whole_bytes_ = 0;
  std::string etag_;
  bool begun_ = false;
};

}  // namespace

HttpClient::HttpClient(HttpClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;

const HostPort& HttpClient::server() const { return impl_->options.server; }
std::uint64_t HttpClient::resumes() const { return impl_->resumes; }
std::uint64_t HttpClient::not_kept() const { return impl_->not_kept; }
void HttpClient::abort() { impl_->abort(); }

Result<HttpAnswer> HttpClient::head(const std::string& target) {
  return impl_->exchange_to_text({"HEAD", target, {}, {}, {}}, 0);
}

Result<HttpAnswer> HttpClient::get(const std::string& target, std::uint64_t bytes_max, const HttpHeaders& headers) {
  return impl_->exchange_to_text({"GET", target, headers, {}, {}}, bytes_max);
}

Result<HttpAnswer> HttpClient::put(const std::string& target, const HttpUpload& upload) {
  return impl_->exchange_to_text({"PUT", target, {}, {}, upload}, kHttpErrorBodyBytesMax);
}

Result<HttpAnswer> HttpClient::send(const std::string& method, const std::string& target, std::string_view body,
                                    const HttpHeaders& headers) {
  return impl_->exchange_to_text({method, target, headers, body, {}}, kHttpErrorBodyBytesMax);
}

Result<HttpAnswer> HttpClient::remove(const std::string& target) { return send("DELETE", target, {}); }

Result<HttpAnswer> HttpClient::get_to_fd(const std::string& target, int fd, std::uint64_t bytes_max,
                                         std::optional<ByteRange> range, const HttpHeaders& headers) {
  Download download(fd, bytes_max, range);
  const BodyTaker taker{[&](const AnswerHead& head) { return download.begin(head); },
                        [&](std::span<const std::byte> piece) { return download.append(piece); }};
  int tries = 0;
  std::uint64_t progress_at = 0;
  while (true) {
    HttpHeaders all = headers;
    for (auto& header : download.headers()) all.push_back(std::move(header));
    auto answer = impl_->exchange({"GET", target, all, {}, {}}, taker);
    if (answer) return answer;
    if (!download.begun() || !is_worth_another_try(answer.error())) return answer;
    if (download.written() >= progress_at + kHttpResumeProgressBytes) {
      tries = 0;
      progress_at = download.written();
    }
    if (tries >= impl_->options.resumes_max) return answer;
    KILN_TRY(impl_->wait_before_resume(tries++));
  }
}

}  // namespace kiln::net
