#include "cli/flag_checks.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "coordinator/run_coordinator.h"
#include "net/tcp_socket.h"
#include "net/zmq_endpoint.h"

namespace kiln::cli {
namespace {

Status check_host_port(std::string_view flag, std::string_view text) {
  const auto address = net::parse_host_port(text);
  if (!address) return fail(address.error().with_context(flag));
  return {};
}

}  // namespace

// CLI11 takes "-1" for a number of bytes, and says of "lots" that the unit is not known.
CLI::Option* takes_bytes(CLI::Option* option, Bytes least) {
  return option->transform(CLI::Validator(
      [least](std::string& word) -> std::string {
        std::string count = word;
        const bool number = !word.empty() && word.front() >= '0' && word.front() <= '9';
        if (!number || !CLI::AsSizeValue(false)(count).empty() || (least == Bytes::kSome && count == "0")) {
          return fmt::format("'{}' is no number of bytes, such as 20GiB", word);
        }
        word = count;
        return {};
      },
      "SIZE"));
}

Status check_doors(const coordinator::CoordinatorOptions& options) {
  constexpr std::string_view kScheme = "http://";
  const auto listen = net::parse_endpoint(options.listen, net::EndpointUse::kBind);
  if (!listen) return fail(listen.error().with_context("--listen"));
  KILN_TRY(check_host_port("--http", options.http_listen));
  KILN_TRY(check_host_port("--store-listen", options.store_listen));
  if (options.store_url.empty()) return {};
  if (!options.store_url.starts_with(kScheme)) {
    return fail(make_error(ErrorCode::kInvalidArgument, "--store: '{}' is no http://HOST:PORT", options.store_url));
  }
  return check_host_port("--store", std::string_view(options.store_url).substr(kScheme.size()));
}

}  // namespace kiln::cli
