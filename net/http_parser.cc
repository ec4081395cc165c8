#include "net/http_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace kiln::net {
namespace {

namespace http = boost::beast::http;

template <typename Parser>
void set_limits(Parser& parser) {
  parser.header_limit(kHttpHeaderBytesMax);
  parser.body_limit(~std::uint64_t{0});  // boost::none means 0 in 1.74; bodies do not pass through the parser
}

// True: the head is complete. False: more bytes are needed.
template <typename Parser>
Result<bool> feed(Parser& parser, std::string& pending, ErrorCode malformed, ErrorCode too_large) {
  boost::system::error_code error;
  const std::size_t used = parser.put(boost::asio::buffer(pending), error);
  pending.erase(0, used);
  if (!error && parser.is_header_done()) return true;
  if (!error || error == http::error::need_more) return false;
  if (error == http::error::header_limit) {
    return fail(make_error(too_large, "the head is larger than {} bytes", kHttpHeaderBytesMax));
  }
  return fail(make_error(malformed, "this is no HTTP: {}", error.message()));
}

template <typename Message>
HttpHeaders headers_of(const Message& message) {
  HttpHeaders headers;
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    headers.emplace_back(std::move(name), std::string(field.value()));
  }
  return headers;
}

}  // namespace

struct RequestParser::Impl {
  http::request_parser<http::empty_body> parser;
};
RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) { set_limits(impl_->parser); }
RequestParser::~RequestParser() = default;

Result<std::optional<RequestHead>> RequestParser::take(std::string& pending) {
  auto& parser = impl_->parser;
  KILN_TRY_ASSIGN(const bool done, feed(parser, pending, ErrorCode::kInvalidArgument, ErrorCode::kOutOfRange));
  if (!done) return std::optional<RequestHead>();
  const auto& message = parser.get();
  RequestHead head;
  head.keep_alive = parser.keep_alive();
  HttpRequest& request = head.request;
  request.method = std::string(message.method_string());
  KILN_TRY_ASSIGN(HttpTarget target, parse_target(std::string(message.target())));
  request.path = std::move(target.path);
  request.query = std::move(target.query);
  request.headers = headers_of(message);
  if (parser.chunked()) return fail(make_error(ErrorCode::kUnimplemented, "a body needs a Content-Length"));
  if (const auto length = parser.content_length()) request.content_length = *length;
  request.expects_continue = boost::beast::iequals(message[http::field::expect], "100-continue");
  return std::optional(std::move(head));
}

struct AnswerParser::Impl {
  http::response_parser<http::empty_body> parser;
};
AnswerParser::AnswerParser() : impl_(std::make_unique<Impl>()) { set_limits(impl_->parser); }
AnswerParser::~AnswerParser() = default;

Result<std::optional<AnswerHead>> AnswerParser::take(std::string& pending) {
  auto& parser = impl_->parser;
  KILN_TRY_ASSIGN(const bool done, feed(parser, pending, ErrorCode::kDataLoss, ErrorCode::kDataLoss));
  if (!done) return std::optional<AnswerHead>();
  AnswerHead head;
  head.status = static_cast<int>(parser.get().result_int());
  head.keep_alive = parser.keep_alive();
  head.headers = headers_of(parser.get());
  const bool bodiless = head.status == 204 || head.status == 304 || head.status < 200;
  if (parser.chunked() || (!parser.content_length() && !bodiless)) {
    return fail(make_error(ErrorCode::kUnimplemented, "the server answers without Content-Length"));
  }
  head.content_bytes = parser.content_length().value_or(0);
  return std::optional(std::move(head));
}

}  // namespace kiln::net
