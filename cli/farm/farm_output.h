// What the farm's commands print: short tables for people, or one JSON value.
#pragma once

#include <string>

#include "net/farm_replies.h"

namespace kiln::cli {

[[nodiscard]] std::string_view to_string(net::JobState state);

// One JSON value for any answer.
[[nodiscard]] std::string to_json(const net::ClientReply& reply);

[[nodiscard]] std::string job_table(const net::JobList& list);
[[nodiscard]] std::string job_text(const net::JobStatus& status);
// "step 12/30  4.1 s a step  1m14s left, then decoding"
[[nodiscard]] std::string stage_text(const net::StageProgress& stage);
[[nodiscard]] std::string job_line(const net::JobStatus& status);  // for watching: one line without its end
[[nodiscard]] std::string worker_table(const net::WorkerList& list);
[[nodiscard]] std::string farm_text(const net::FarmStatus& status);
[[nodiscard]] std::string log_table(const net::TaskLogs& logs);
// One JSON value, with the log of the attempt that is shown; nothing: there is none.
[[nodiscard]] std::string logs_json(const net::TaskLogs& logs, const net::AttemptLog* shown, const std::string& text);
// For chrome://tracing and ui.perfetto.dev: a process for each worker, a thread for each lane.
[[nodiscard]] std::string chrome_trace(const net::Trace& trace);

}  // namespace kiln::cli
