// libFuzzer: any bytes as a request to the server, as an answer to the client, and as what requests carry. The
// client is the real one, on a pair of sockets; of the server all but its coroutines, which clang 14 cannot compile
// with Boost 1.74. Build with -DKILN_FUZZ=ON.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "cache_store/artifact_frame.h"
#include "cache_store/url_grant.h"
#include "net/http_exchange.h"
#include "net/http_head.h"
#include "net/http_parser.h"

namespace {

using namespace kiln;

std::pair<UniqueFd, UniqueFd> socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// As a connection does: head after head, until one is refused or the bytes end. Fed in two pieces, as TCP may.
void ask_server(std::string_view text) {
  const std::size_t cut = text.size() / 2;
  std::string pending(text.substr(0, cut));
  bool rest_is_there = false;
  for (int requests = 0; requests < 64; ++requests) {
    net::RequestParser parser;
    auto head = parser.take(pending);
    if (head && !*head && !rest_is_there) {
      pending += text.substr(cut);
      rest_is_there = true;
      head = parser.take(pending);
    }
    if (!head || !*head) return;
    const net::HttpRequest& request = (*head)->request;
    const auto response = net::file_response(request, UniqueFd(), 1000, "\"tag\"");
    if (response.file && response.file->offset + response.file->bytes > 1000) std::abort();
    const std::string answer = net::response_head(response, (*head)->keep_alive);
    if (answer.find("\r\n\r\n") + 4 != answer.size()) std::abort();
    pending.erase(0, static_cast<std::size_t>(std::min<std::uint64_t>(pending.size(), request.content_length.value_or(0))));
  }
}

void answer_client(std::span<const std::byte> bytes) {
  auto [ours, theirs] = socket_pair();
  (void)net::send_all(theirs.get(), bytes, net::deadline_in(std::chrono::seconds(5)));
  ::shutdown(theirs.get(), SHUT_WR);
  const net::HttpClientOptions options{.server = {"fuzz", 1}};
  net::HttpExchange exchange(ours.get(), options);
  const net::HttpCall call{"GET", "/", {}, {}, {}};
  if (!exchange.call(call)) return;
  while (true) {
    const auto piece = exchange.next_piece();
    if (!piece || piece->empty()) return;
  }
}

void read_parts(std::string_view text, std::span<const std::byte> bytes) {
  static const cache::UrlKey kKey = cache::UrlKey::generate();
  if (const auto target = net::parse_target(text)) {
    cache::Grant grant;
    if (!kKey.check({"GET", target->path, target->query, 0}, 1, grant)) std::abort();  // nobody guesses a signature
  }
  const auto choice = net::choose_range(text, 1000);
  if (const auto* range = std::get_if<net::ByteRange>(&choice)) {
    if (range->bytes == 0 || range->offset + range->bytes > 1000) std::abort();
  }
  (void)net::etag_matches(text, "\"a\"");
  (void)net::error_of_answer(400, net::kProblemContentType, text);
  (void)net::parse_host_port(text);
  cache::ArtifactFrameReader reader;
  if (reader.append(bytes)) (void)reader.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0: ask_server({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); break;
    case 1: answer_client(bytes); break;
    default: read_parts({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, bytes);
  }
  return 0;
}
