#include "net/http_message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace kiln::net {
namespace {

constexpr std::array<std::pair<ErrorCode, int>, 16> kStatuses{{
    {ErrorCode::kInvalidArgument, 400},
    {ErrorCode::kUnauthenticated, 401},
    {ErrorCode::kPermissionDenied, 403},
    {ErrorCode::kNotFound, 404},
    {ErrorCode::kDeadlineExceeded, 408},
    {ErrorCode::kAborted, 409},
    {ErrorCode::kAlreadyExists, 409},
    {ErrorCode::kFailedPrecondition, 412},
    {ErrorCode::kOutOfRange, 413},
    {ErrorCode::kDataLoss, 422},
    {ErrorCode::kCancelled, 499},
    {ErrorCode::kInternal, 500},
    {ErrorCode::kUnknown, 500},
    {ErrorCode::kUnimplemented, 501},
    {ErrorCode::kUnavailable, 503},
    {ErrorCode::kResourceExhausted, 507},
}};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(make_error(ErrorCode::kInvalidArgument, "a broken %-escape in the URL"));
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      return fail(make_error(ErrorCode::kInvalidArgument, "a control character in the URL"));
    }
    out.push_back(c);
  }
  return out;
}

// Digits only; more than 64 bits is as much as there can be.
std::optional<std::uint64_t> parse_position(std::string_view digits) {
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) return ~std::uint64_t{0};
  return value;
}

}  // namespace

std::string_view find_header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return {};
}

std::string_view HttpRequest::parameter(std::string_view name) const {
  const auto at = query.find(name);
  return at == query.end() ? std::string_view() : std::string_view(at->second);
}

Result<HttpTarget> parse_target(std::string_view target) {
  if (!target.starts_with('/')) {
    return fail(make_error(ErrorCode::kInvalidArgument, "the request's target is no path"));
  }
  HttpTarget out;
  const auto mark = target.find('?');
  KILN_TRY_ASSIGN(out.path, percent_decode(target.substr(0, mark)));
  if (mark == std::string_view::npos || mark + 1 == target.size()) return out;
  for (const std::string_view pair : split(target.substr(mark + 1), '&')) {
    const auto equals = pair.find('=');
    KILN_TRY_ASSIGN(std::string name, percent_decode(pair.substr(0, equals)));
    std::string value;
    if (equals != std::string_view::npos) {
      KILN_TRY_ASSIGN(value, percent_decode(pair.substr(equals + 1)));
    }
    if (name.empty() || !out.query.emplace(std::move(name), std::move(value)).second) {
      return fail(make_error(ErrorCode::kInvalidArgument, "a URL parameter without a name, or given twice"));
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~/-";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

HttpResponse problem(int status, ErrorCode code, std::string_view message) {
  const nlohmann::json body = {{"code", to_string(code)}, {"message", message}, {"status", status}};
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", std::string(kProblemContentType)}};
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

HttpResponse problem(const Error& error) { return problem(http_status(error.code), error.code, error.message); }

HttpResponse json_response(int status, std::string json) {
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", std::string(kJsonContentType)}};
  response.body = std::move(json) + "\n";
  return response;
}

int http_status(ErrorCode code) {
  for (const auto& [known, status] : kStatuses) {
    if (known == code) return status;
  }
  return 500;
}

ErrorCode error_code_of_status(int status) {
  for (const auto& [code, known] : kStatuses) {
    if (known == status) return code;
  }
  if (status == 416) return ErrorCode::kOutOfRange;
  if (status == 504) return ErrorCode::kDeadlineExceeded;
  if (status == 429) return ErrorCode::kResourceExhausted;
  return status < 500 ? ErrorCode::kInvalidArgument : ErrorCode::kInternal;
}

Error error_of_answer(int status, std::string_view content_type, std::string_view body) {
  Error error{error_code_of_status(status), fmt::format("HTTP status {}", status), ExitCode::kFromCode};
  if (!content_type.starts_with(kProblemContentType)) return error;
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return error;
  const auto code = json.find("code");
  if (code != json.end() && code->is_string()) error.code = error_code_from_string(code->get<std::string>());
  const auto message = json.find("message");
  if (message != json.end() && message->is_string()) error.message = message->get<std::string>();
  return error;
}

RangeChoice choose_range(std::string_view range_header, std::uint64_t size_bytes) {
  constexpr std::string_view kUnit = "bytes=";
  const std::string_view text = trim(range_header);
  if (!text.starts_with(kUnit)) return WholeFile{};
  const std::string_view spec = trim(text.substr(kUnit.size()));
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos) return WholeFile{};
  const auto first = parse_position(spec.substr(0, dash));
  const auto last = parse_position(spec.substr(dash + 1));
  if (dash == 0) {
    if (!last) return WholeFile{};
    if (*last == 0 || size_bytes == 0) return Unsatisfiable{};
    const std::uint64_t bytes = std::min(*last, size_bytes);
    return ByteRange{size_bytes - bytes, bytes};
  }
  const bool open_end = dash + 1 == spec.size();
  if (!first || (!last && !open_end) || (last && *last < *first)) return WholeFile{};
  if (*first >= size_bytes) return Unsatisfiable{};
  const std::uint64_t end = open_end ? size_bytes - 1 : std::min(*last, size_bytes - 1);
  return ByteRange{*first, end - *first + 1};
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
  for (std::string_view tag : split(if_none_match, ',')) {
    tag = trim(tag);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (!tag.empty() && (tag == "*" || tag == etag)) return true;
  }
  return false;
}

HttpResponse file_response(const HttpRequest& request, UniqueFd fd, std::uint64_t size_bytes,
                           std::string_view etag) {
  HttpResponse response;
  response.headers = {{"ETag", std::string(etag)}, {"Accept-Ranges", "bytes"}};
  if (etag_matches(request.header("if-none-match"), etag)) {
    response.status = 304;
    return response;
  }
  response.headers.emplace_back("Content-Type", "application/octet-stream");
  // A range of another version is worth nothing: If-Range then gets the whole.
  const std::string_view if_range = request.header("if-range");
  const bool ranged = request.method == "GET" && (if_range.empty() || if_range == etag);
  const RangeChoice choice = ranged ? choose_range(request.header("range"), size_bytes) : RangeChoice(WholeFile{});
  if (std::holds_alternative<Unsatisfiable>(choice)) {
    HttpResponse refused = problem(416, ErrorCode::kOutOfRange, "the range is outside of the file");
    refused.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size_bytes));
    return refused;
  }
  ByteRange range{0, size_bytes};
  if (const auto* part = std::get_if<ByteRange>(&choice)) {
    range = *part;
    response.status = 206;
    response.headers.emplace_back(
        "Content-Range", fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.bytes - 1, size_bytes));
  }
  response.file = HttpFile{std::move(fd), range.offset, range.bytes};
  return response;
}

}  // namespace kiln::net
