// A blocking HTTP/1.1 client of one server: kept connections, deadlines, downloads that go on where they broke.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"
#include "net/tcp_socket.h"

namespace kiln::net {

inline constexpr std::size_t kHttpIdleConnectionsMax = 8;  // that wait for the next request
inline constexpr std::uint64_t kHttpErrorBodyBytesMax = 64U << 10U;
// Progress that lets a broken download begin to count its tries anew.
inline constexpr std::uint64_t kHttpResumeProgressBytes = 1U << 20U;

struct HttpClientOptions {
  HostPort server;
  std::chrono::milliseconds connect_deadline{5'000};
  std::chrono::milliseconds answer_deadline{60'000};  // from the end of a request to the head of its answer
  std::chrono::milliseconds mib_deadline{30'000};     // for each MiB of a body, either way
  int resumes_max = 6;                                // of one download, in a row and without progress
  std::chrono::milliseconds resume_wait{50};          // before the first of them; doubles
};

struct HttpAnswer {
  int status = 0;  // below 400: everything else is an Error
  HttpHeaders headers;  // names in lower case
  std::uint64_t content_bytes = 0;
  std::string body;  // empty where it went to a descriptor

  [[nodiscard]] std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

struct HttpUpload {
  int fd = -1;  // any file that can be read at an offset; its own offset stays
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// Any thread may call; each call has a connection of its own while it runs. Targets are percent-encoded, with
// their query. Errors: those of the answer by its problem's code (error_of_answer); kUnavailable when nobody
// answers; kDeadlineExceeded; kDataLoss when the server speaks no HTTP; kCancelled after abort().
class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  [[nodiscard]] const HostPort& server() const;
  [[nodiscard]] Result<HttpAnswer> head(const std::string& target);
  [[nodiscard]] Result<HttpAnswer> get(const std::string& target, std::uint64_t bytes_max,
                                       const HttpHeaders& headers = {});
  // Writes from `fd`'s offset 0 on, also for a range. Goes on with Range and If-Range where a connection broke.
  [[nodiscard]] Result<HttpAnswer> get_to_fd(const std::string& target, int fd, std::uint64_t bytes_max,
                                             std::optional<ByteRange> range = std::nullopt,
                                             const HttpHeaders& headers = {});
  // Asks first (Expect: 100-continue), so that a server that wants no body gets none.
  [[nodiscard]] Result<HttpAnswer> put(const std::string& target, const HttpUpload& upload);
  [[nodiscard]] Result<HttpAnswer> send(const std::string& method, const std::string& target, std::string_view body,
                                        const HttpHeaders& headers = {});
  [[nodiscard]] Result<HttpAnswer> remove(const std::string& target);  // DELETE

  // Ends every call that runs, and every later one.
  void abort();
  [[nodiscard]] std::uint64_t resumes() const;
  [[nodiscard]] std::uint64_t not_kept() const;  // connections that were closed because kHttpIdleConnectionsMax wait

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
