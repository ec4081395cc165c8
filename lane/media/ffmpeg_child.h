// One running ffmpeg: bytes in or out of it, what it complained about, and an end that always comes.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "lane/media/byte_source.h"
#include "lane/media/cancel_signal.h"

namespace kiln::lane {

// An ffmpeg that moves no byte for this long has hung; it is killed and the error says so.
constexpr std::chrono::minutes kFfmpegIdleDeadline{10};

struct FfmpegOptions {
  std::string program;
  std::vector<std::string> arguments;
  bool feed_stdin = false;   // write_all() reaches its standard input
  int stdin_fd = -1;         // or: a descriptor it reads itself; borrowed for the start
  std::vector<std::pair<int, int>> inherit;  // further descriptors for it: SpawnOptions::inherit
  bool read_stdout = false;  // read_some() takes its standard output
  const CancelSignal* cancel = nullptr;
  double* cpu_s = nullptr;  // what it used of the processor is added here once it has ended; outlives it
  std::chrono::milliseconds idle_deadline = kFfmpegIdleDeadline;
};

// Killed and reaped by the destructor. Every wait also drains standard error (the last part is kept),
// listens to `cancel`, and ends at the idle deadline: no pipe can block another. One thread at a time,
// and the child dies with the thread that started it.
class FfmpegChild final : public ByteSource {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FfmpegChild>> start(FfmpegOptions options);
  ~FfmpegChild() override { kill(); }

  [[nodiscard]] Result<std::size_t> read_some(std::span<std::byte> bytes) override;
  // kUnavailable when ffmpeg has stopped reading: finish() then says why.
  [[nodiscard]] Status write_all(std::span<const std::byte> bytes);
  // Likewise, but where the system can, ffmpeg reads the bytes where they lie: they must stay as they are until it has taken them,
  // that is until pipe_bytes() more were written, or it has ended.
  [[nodiscard]] Status lend_all(std::span<const std::byte> bytes);
  [[nodiscard]] std::size_t pipe_bytes() const { return pipe_bytes_; }
  void close_stdin() { stdin_.reset(); }
  // Closes both pipes and waits for the end.
  [[nodiscard]] Result<ExitStatus> finish();
  void kill();

  [[nodiscard]] const std::string& complaints() const { return complaints_; }

 private:
  FfmpegChild() = default;
  enum class Wait { kStdout, kStdin, kExit };
  [[nodiscard]] Status wait_for(Wait what);
  [[nodiscard]] Status put_all(std::span<const std::byte> bytes, bool lend);
  void drain_stderr();
  void account(const ExitStatus& status);

  FfmpegOptions options_;
  ChildProcess process_;
  UniqueFd stdin_;
  UniqueFd stdout_;
  UniqueFd stderr_;
  std::string complaints_;
  std::size_t pipe_bytes_ = 0;  // that standard input holds at most
  bool lends_ = true;           // until the system refuses
};

// What ended ffmpeg, for people: its last telling line, or how it died. Disk full and the like get
// their exit codes; `otherwise` is used where the complaint names no such cause.
[[nodiscard]] Error ffmpeg_error(const ExitStatus& status, const std::string& complaints,
                                 const std::string& doing, ExitCode otherwise);

}  // namespace kiln::lane
