// A file layer for SQLite that fails as disks do, or waits, or dies, at a chosen operation. Registered once as
// kFaultVfs; what it does is one setting for the whole process.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::coordinator::test {

inline const std::string kFaultVfs = "kiln-fault";

enum class VfsFault { kNone, kDiskFull, kWriteError, kSyncError, kKill };

void register_fault_vfs();
// From now on the `operation`-th write, sync or truncation (1: the next one), and every one behind it, goes wrong. With
// kSyncError syncs alone are counted, with kDiskFull and kWriteError writes. kKill writes half and raises SIGKILL.
void set_vfs_fault(VfsFault fault, std::uint64_t operation);
void clear_vfs_fault();
// Syncs wait until release_syncs().
void hold_syncs();
void release_syncs();
void wait_for_held_sync();

}  // namespace kiln::coordinator::test
