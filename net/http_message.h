// HTTP as values: requests, answers, ranges, tags, errors. Knows no sockets and no Beast.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"

namespace kiln::net {

inline constexpr std::uint32_t kHttpHeaderBytesMax = 16U << 10U;
inline constexpr std::string_view kJsonContentType = "application/json";
inline constexpr std::string_view kProblemContentType = "application/problem+json";

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;
// Empty: not there. `name` in lower case, as are the names of parsed headers.
[[nodiscard]] std::string_view find_header(const HttpHeaders& headers, std::string_view name);

struct HttpTarget {
  std::string path;                                     // percent-decoded, begins with '/'
  std::map<std::string, std::string, std::less<>> query;  // percent-decoded
};
// Refuses what can be read in two ways: bad escapes, control characters, a parameter given twice.
[[nodiscard]] Result<HttpTarget> parse_target(std::string_view target);
[[nodiscard]] std::string percent_encode(std::string_view text);  // all but [A-Za-z0-9._~/-]

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;
  std::map<std::string, std::string, std::less<>> query;
  HttpHeaders headers;  // names in lower case
  std::optional<std::uint64_t> content_length;
  bool expects_continue = false;
  std::string remote;  // "127.0.0.1:40312"

  [[nodiscard]] std::string_view header(std::string_view name) const { return find_header(headers, name); }
  [[nodiscard]] std::string_view parameter(std::string_view name) const;  // empty: not there
  [[nodiscard]] bool reads() const { return method == "GET" || method == "HEAD"; }
};

// Bytes of a file that follow the answer's text.
struct HttpFile {
  UniqueFd fd;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  // without Content-Length and Connection, which the server writes
  std::string body;
  std::optional<HttpFile> file;  // sent after `body`
  bool close = false;            // end the connection afterwards

  [[nodiscard]] std::uint64_t content_bytes() const { return body.size() + (file ? file->bytes : 0); }
};

// application/problem+json: {"code": canonical name, "message": one line, "status": …}.
[[nodiscard]] HttpResponse problem(int status, ErrorCode code, std::string_view message);
[[nodiscard]] HttpResponse problem(const Error& error);
[[nodiscard]] HttpResponse json_response(int status, std::string json);
// The one table between canonical codes and HTTP.
[[nodiscard]] int http_status(ErrorCode code);
[[nodiscard]] ErrorCode error_code_of_status(int status);
// What a client makes of an answer of 400 or more: the problem's own code and message where it has them.
[[nodiscard]] Error error_of_answer(int status, std::string_view content_type, std::string_view body);

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool operator==(const ByteRange&) const = default;
};
struct WholeFile {
  bool operator==(const WholeFile&) const = default;
};
struct Unsatisfiable {
  bool operator==(const Unsatisfiable&) const = default;
};
using RangeChoice = std::variant<WholeFile, ByteRange, Unsatisfiable>;
// "bytes=a-b", "bytes=a-", "bytes=-n". Several ranges, other units and nonsense mean the whole, as RFC 9110 allows.
[[nodiscard]] RangeChoice choose_range(std::string_view range_header, std::uint64_t size_bytes);
// If-None-Match: "*" or a list of tags. `etag` with its quotes.
[[nodiscard]] bool etag_matches(std::string_view if_none_match, std::string_view etag);

// 200, 206, 304 or 416 for a file whose content never changes under its tag.
[[nodiscard]] HttpResponse file_response(const HttpRequest& request, UniqueFd fd, std::uint64_t size_bytes,
                                         std::string_view etag);

}  // namespace kiln::net
