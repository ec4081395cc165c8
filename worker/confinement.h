// What a compile child may not do: reach a network, read what is not its business (the signing key, the
// user's files), write outside its work folder. Each part depends on the kernel; what it refuses is named.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace kiln::worker {

struct ConfinementFolders {
  std::vector<std::string> readable;  // beside the system's programs and libraries; missing ones are skipped
  std::string writable;               // the one folder
  // Device files to read, write and control; missing ones are skipped. Where there are any, stream sockets between
  // processes may be made, since the driver of cards makes one at its start; none may be connected.
  std::vector<std::string> devices;
};

// Prepared in the parent; enter() runs in the child between fork and exec and is async-signal-safe.
class Confinement {
 public:
  [[nodiscard]] static Result<Confinement> prepare(const ConfinementFolders& folders);
  Confinement(Confinement&&) noexcept;
  Confinement& operator=(Confinement&&) noexcept;
  ~Confinement();

  void enter() const;
  // After the child's exec: "network namespace, system calls, files", or which of them the kernel refused.
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] bool complete() const;

 private:
  struct Shared;  // in memory shared with the child, which notes there what worked
  Confinement() = default;
  UniqueFd ruleset_;
  std::uint64_t known_rights_ = 0;  // those on files that this kernel can grant or refuse
  bool with_cards_ = false;
  Shared* shared_ = nullptr;
};

}  // namespace kiln::worker
