// The head of an answer as text. Internal to net/.
#pragma once

#include <string>

#include "net/http_message.h"

namespace kiln::net {

// Status line and headers, with Content-Length and Connection, up to the empty line. Control characters in values
// become spaces: nothing that a handler repeats can add a header.
[[nodiscard]] std::string response_head(const HttpResponse& response, bool keep_alive);
[[nodiscard]] std::string request_head(std::string_view method, std::string_view target, std::string_view host,
                                       const HttpHeaders& headers);

}  // namespace kiln::net
