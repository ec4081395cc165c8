// Between the parts of apply_fact(). Used inside coordinator/core alone.
#pragma once

#include "coordinator/core/farm_step.h"

namespace kiln::coordinator {

// nullptr: it is gone, and what still comes for it changes nothing.
[[nodiscard]] JobRecord* find_job(Durable& durable, const net::JobName& name);
[[nodiscard]] TaskRecord* find_task(Durable& durable, TaskNumber number);
void put_state(Durable& durable, TaskNumber number, TaskRecord& task, TaskState state);
// A join waits until every frame has come.
void wake_join(Durable& durable, JobRecord& job, const ClipRecord& clip);

// ---- apply_results.cc ----
// By value: what a journal is made of is moved and not copied when a million of them are applied.
void apply(Durable& durable, net::ResultAccepted fact);
void apply(Durable& durable, const net::AttemptEnded& fact);

}  // namespace kiln::coordinator
