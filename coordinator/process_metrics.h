// What the parts beside the coordinator's loop count, as text.
#pragma once

#include <string>

#include "coordinator/blob_keeper.h"
#include "coordinator/saved_state.h"
#include "coordinator/store_watch.h"
#include "net/http_server.h"
#include "net/zap_server.h"

namespace kiln::coordinator {

struct ProcessStats {
  JournalStats journal;
  net::ZapStats zap;
  SnapshotStats snapshots;
  StoreWatchStats store;
  std::uint64_t pins_waiting = 0;
  std::uint64_t pins_failed = 0;
  net::HttpServerStats http;
};
[[nodiscard]] std::string process_metrics(const ProcessStats& stats);

}  // namespace kiln::coordinator
