// `kiln coordinator`: journal, store, doors and server put together and taken apart again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "coordinator/core/farm_rules.h"

namespace kiln::coordinator {

struct CoordinatorOptions {
  std::string state_dir;
  std::string listen = "tcp://127.0.0.1:0";  // for workers and clients
  std::string http_listen = "127.0.0.1:0";   // metrics and health
  std::string key_file;                      // its key pair; empty: none, and then only on this machine
  std::string allow_file;                    // whose keys may come in; read again on SIGHUP
  std::string store_url;                     // of a store that runs already; empty: one is started
  std::string store_listen = "127.0.0.1:0";  // of the one that is started
  std::string store_budget;                  // as its --budget; empty: its own default
  std::string url_key_file;                  // secret shared with a store that runs already
  std::vector<std::string> store_command;    // program and words before the flags: {"…/kiln", "cache", "serve"}
  std::string version;
  FarmRules rules;
  std::uint64_t snapshot_facts = 100'000;    // between two snapshots of the journal
};

struct CoordinatorDoors {
  std::string endpoint;
  std::string http;
  std::string store;
};

// Runs until SIGTERM or SIGINT. `ready` is called once, when every door is open.
[[nodiscard]] Status run_coordinator(const CoordinatorOptions& options,
                                     const std::function<Status(const CoordinatorDoors&)>& ready);

}  // namespace kiln::coordinator
