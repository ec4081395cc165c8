#include "tests/coordinator/journal/fault_vfs.h"

#include <sqlite3.h>

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>

namespace kiln::coordinator::test {
namespace {

enum class Operation { kWrite, kSync, kTruncate };

std::mutex mutex;
std::condition_variable changed;
VfsFault fault = VfsFault::kNone;
std::uint64_t operations_left = 0;
bool holds_syncs = false;
bool sync_is_held = false;

struct FaultFile {
  sqlite3_file base;
  sqlite3_file* real;  // behind this one, in the same memory
};

sqlite3_vfs* real_vfs() { return static_cast<sqlite3_vfs*>(sqlite3_vfs_find(kFaultVfs.c_str())->pAppData); }
sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file)->real; }

bool counts(Operation operation) {
  switch (fault) {
    case VfsFault::kNone:
      return false;
    case VfsFault::kSyncError:
      return operation == Operation::kSync;
    case VfsFault::kDiskFull:
    case VfsFault::kWriteError:
      return operation == Operation::kWrite;
    case VfsFault::kKill:
      return true;
  }
  return false;
}

// The fault that this operation meets.
VfsFault meet(Operation operation) {
  const std::lock_guard guard(mutex);
  if (!counts(operation)) return VfsFault::kNone;
  if (operations_left > 1) {
    --operations_left;
    return VfsFault::kNone;
  }
  return fault;
}

[[noreturn]] void die() {
  std::raise(SIGKILL);
  std::abort();
}

int on_close(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
int on_read(sqlite3_file* file, void* bytes, int count, sqlite3_int64 at) {
  return real(file)->pMethods->xRead(real(file), bytes, count, at);
}
int on_write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  switch (meet(Operation::kWrite)) {
    case VfsFault::kKill:
      static_cast<void>(real(file)->pMethods->xWrite(real(file), bytes, count / 2, at));
      die();
    case VfsFault::kDiskFull:
      return SQLITE_FULL;
    case VfsFault::kWriteError:
      return SQLITE_IOERR_WRITE;
    default:
      return real(file)->pMethods->xWrite(real(file), bytes, count, at);
  }
}
int on_truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (meet(Operation::kTruncate) == VfsFault::kKill) die();
  return real(file)->pMethods->xTruncate(real(file), size);
}
int on_sync(sqlite3_file* file, int flags) {
  {
    std::unique_lock lock(mutex);
    sync_is_held = holds_syncs;
    changed.notify_all();
    changed.wait(lock, [] { return !holds_syncs; });
  }
  const VfsFault met = meet(Operation::kSync);
  if (met == VfsFault::kKill) die();
  return met == VfsFault::kNone ? real(file)->pMethods->xSync(real(file), flags) : SQLITE_IOERR_FSYNC;
}
int on_file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int on_lock(sqlite3_file* file, int kind) { return real(file)->pMethods->xLock(real(file), kind); }
int on_unlock(sqlite3_file* file, int kind) { return real(file)->pMethods->xUnlock(real(file), kind); }
int on_check_lock(sqlite3_file* file, int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); }
int on_control(sqlite3_file* file, int operation, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
int on_sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int on_characteristics(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }

// Version 1: without shared memory, which an exclusively locked database does not need.
const sqlite3_io_methods kMethods = {
    1, on_close, on_read, on_write, on_truncate, on_sync, on_file_size, on_lock, on_unlock, on_check_lock, on_control,
    on_sector_size, on_characteristics, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};

int on_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  auto* const wrapped = reinterpret_cast<FaultFile*>(file);
  wrapped->real = reinterpret_cast<sqlite3_file*>(wrapped + 1);
  wrapped->base.pMethods = nullptr;
  const int code = real_vfs()->xOpen(real_vfs(), name, wrapped->real, flags, flags_out);
  if (code == SQLITE_OK) wrapped->base.pMethods = &kMethods;
  return code;
}

}  // namespace

void register_fault_vfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs* const below = sqlite3_vfs_find(nullptr);
    sqlite3_vfs made = *below;  // everything but opening is the system's
    made.pNext = nullptr;
    made.zName = kFaultVfs.c_str();
    made.pAppData = below;
    made.szOsFile = static_cast<int>(sizeof(FaultFile)) + below->szOsFile;
    made.xOpen = on_open;
    return made;
  }();
  sqlite3_vfs_register(&vfs, 0);
}

void set_vfs_fault(VfsFault next, std::uint64_t operation) {
  const std::lock_guard guard(mutex);
  fault = next;
  operations_left = operation;
}

void clear_vfs_fault() { set_vfs_fault(VfsFault::kNone, 0); }

void hold_syncs() {
  const std::lock_guard guard(mutex);
  holds_syncs = true;
  sync_is_held = false;
}

void release_syncs() {
  const std::lock_guard guard(mutex);
  holds_syncs = false;
  changed.notify_all();
}

void wait_for_held_sync() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [] { return sync_is_held; });
}

}  // namespace kiln::coordinator::test
