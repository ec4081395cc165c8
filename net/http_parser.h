// Heads of requests and answers out of bytes; Beast parses them, in http_parser.cc alone. Internal to net/.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/http_message.h"

namespace kiln::net {

struct RequestHead {
  HttpRequest request;  // without `remote`
  bool keep_alive = false;
};

struct AnswerHead {
  int status = 0;
  HttpHeaders headers;  // names in lower case
  std::uint64_t content_bytes = 0;
  bool keep_alive = false;
};

// One head each. take() removes from the front of `pending` what belongs to the head, once it is complete;
// nullopt: more bytes are needed. An error is final: kUnimplemented for a body without a length, else
// kInvalidArgument (requests; kOutOfRange when the head is too large) or kDataLoss (answers).
class RequestParser {
 public:
  RequestParser();
  ~RequestParser();
  [[nodiscard]] Result<std::optional<RequestHead>> take(std::string& pending);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class AnswerParser {
 public:
  AnswerParser();
  ~AnswerParser();
  [[nodiscard]] Result<std::optional<AnswerHead>> take(std::string& pending);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
