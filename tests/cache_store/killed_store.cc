// killed_store ROOT URL_KEY_FILE: the service of `kiln cache serve` on a free port, which it prints.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "cache_store/store_service.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  kiln::cache::StoreServiceOptions options;
  options.root = argv[1];
  options.url_key_file = argv[2];
  options.budget_bytes = 256U << 20U;
  options.scrubs = false;
  const auto service = kiln::cache::StoreService::start(options);
  if (!service) {
    fmt::print(stderr, "{}\n", service.error().message);
    return 1;
  }
  fmt::print("{}\n", (*service)->bound().text());
  std::fflush(stdout);
  while (true) ::pause();
}
