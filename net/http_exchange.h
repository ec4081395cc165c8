// One request and its answer on one connected socket, blocking. Internal to net/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "net/http_parser.h"

namespace kiln::net {

struct HttpCall {
  std::string method;
  std::string target;
  HttpHeaders headers;
  std::string_view text;             // the body, or
  std::optional<HttpUpload> upload;  // the body out of a file
};

class HttpExchange {
 public:
  // The socket is the caller's and outlives this.
  HttpExchange(int socket, const HttpClientOptions& options);

  // Sends the request, passes over 100 Continue, and returns the answer's head.
  [[nodiscard]] Result<AnswerHead> call(const HttpCall& call);
  // The next bytes of the answer's body, valid until the next call; empty: that was all.
  [[nodiscard]] Result<std::span<const std::byte>> next_piece();
  // Whether the server has said anything: if not, a kept connection was closed before the request reached it.
  [[nodiscard]] bool heard() const { return heard_; }
  // Whether another request may use the socket.
  [[nodiscard]] bool reusable() const { return reusable_ && left_ == 0; }

 private:
  [[nodiscard]] Result<AnswerHead> read_head(Deadline deadline);
  [[nodiscard]] Status receive_head_bytes(Deadline deadline);
  [[nodiscard]] Status send_upload(const HttpUpload& upload);
  // The body could not be sent: the server may have said why before it closed.
  [[nodiscard]] Result<AnswerHead> answer_after(const Error& send_error);

  int socket_;
  const HttpClientOptions& options_;
  std::string pending_;             // received, not yet consumed
  std::vector<std::byte> buffer_;   // made by the first body
  std::uint64_t left_ = 0;          // of the answer's body
  std::uint64_t since_deadline_ = 0;
  Deadline piece_deadline_{};
  bool heard_ = false;
  bool reusable_ = false;
};

}  // namespace kiln::net
