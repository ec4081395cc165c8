// The warm compile child: a Python process with Inductor imported, that makes shared libraries of graphs.
// It holds no key, sees no weights, has no network, and writes in its own work folder only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"
#include "sharding/compile_key.h"
#include "worker/lane_process.h"

namespace kiln::worker {

inline constexpr std::size_t kCompileQueueMax = 64;
// Where the child finds its compiler and tools; our own PATH is the user's business.
inline constexpr std::string_view kCompilerPath = "/usr/local/bin:/usr/bin:/bin";
inline constexpr std::uint64_t kCompiledLibraryBytesMax = 256_MiB;

struct CompileChildOptions {
  std::string python;          // interpreter whose torch compiles
  std::string package_folder;  // holds kiln_compile/; read-only for the child
  std::string work_folder;     // made when missing, emptied at each start of a child
  std::string compiler = "g++";
  std::string torch_folder;    // of that interpreter; readable for the child
  sharding::IsaLevel warm_isa = sharding::IsaLevel::kNone;  // what to warm up for; kNone: imports only
  std::string device = "cpu";  // "cuda": compiles for the one card that it sees
  std::string visible_card;    // for "cuda": what CUDA_VISIBLE_DEVICES says to the child
  double memory_fraction = 1.0;    // for "cuda": of the card's memory, what its allocator may have
  bool leaves_when_idle = false;   // ends when nothing is to be compiled
  std::vector<std::string> cards;  // for "cuda": device files of the driver; empty: all there are under /dev
  std::string torch_git;       // the child must be of this build; empty: any
  std::string recipe_sha256;   // and of these sources, which the artifact's key names; empty: any
  int threads = 1;             // of the child's trial run; no trace of it in the artifact
  int nice = kCompileNice;     // above the worker's
  std::chrono::milliseconds hello_deadline{180'000};
  std::chrono::milliseconds compile_deadline{900'000};
  std::uint64_t memory_limit_bytes = 8_GiB;  // resident set of the child and all it started
  std::vector<std::string> command;  // replaces the interpreter and its arguments (tests); empty: the real child
};

// Kernels of our own, for one kind of card; no graph.
struct KernelRequest {
  std::string source;
  std::string arch;
  std::vector<std::string> options;
};

struct CompileRequest {
  std::string graph_json;  // checked by sharding/graph before it gets here
  std::vector<sharding::TensorSpec> inputs;
  sharding::CompileSettings settings;
  sharding::IsaLevel isa = sharding::IsaLevel::kAvx2;
  std::optional<KernelRequest> kernels{};  // instead of all of the above
};

struct CompiledLibrary {
  std::string library;  // bytes of the shared library or the cubin, out of the child's reach
  std::vector<sharding::TensorSpec> outputs;
  double compile_s = 0.0;
  std::uint64_t compile_peak_rss_bytes = 0;
  double run_ms = 0.0;               // one run on this host, `threads` threads
  std::uint64_t run_peak_bytes = 0;  // beyond inputs and parameters, outputs included
  // Of the card that it was made on. 0: of the CPU, or not known.
  std::uint64_t card_context_bytes = 0;   // that the child has outside its allocator
  std::uint64_t card_reserved_bytes = 0;  // of its allocator, at the peak
};

struct CompileChildStats {
  std::uint64_t starts = 0;    // of a child process
  std::uint64_t compiles = 0;  // requests answered with a library
  std::uint64_t failures = 0;
  std::string confinement;     // what holds the child, and what the kernel refused; empty before the first start
  double start_s = 0.0;        // of the last start, until the child said hello
};

using CompileTicket = std::uint64_t;
// Called once for each request, on the child's own thread, with no lock held.
using CompileDone = std::function<void(Result<CompiledLibrary>)>;

// Owns the process and one thread, which starts it, speaks with it and watches it. A crash, a hang, too
// much memory or nonsense in the answer is an error of that one request; the next gets a fresh child.
// Thread-safe. The destructor kills the child and fails what is queued with kCancelled.
class CompileChild {
 public:
  explicit CompileChild(CompileChildOptions options);
  ~CompileChild();
  CompileChild(const CompileChild&) = delete;
  CompileChild& operator=(const CompileChild&) = delete;

  // Starts the child ahead of the first request, which otherwise does. Returns at once.
  void warm_up();
  // kResourceExhausted when kCompileQueueMax requests wait already; `done` is then not called.
  [[nodiscard]] Result<CompileTicket> submit(CompileRequest request, CompileDone done);
  // Ends the child; when this returns, it is gone and what it had of its card is free. What it is at is done before: a request that was just
  // answered may not be over yet.
  void leave();
  // Ends that request with kCancelled; one that is being compiled takes its child with it.
  void cancel(CompileTicket ticket);
  [[nodiscard]] CompileChildStats stats() const;
  [[nodiscard]] pid_t pid() const;  // -1: none runs now

 private:
  class Owner;
  std::unique_ptr<Owner> owner_;
};

}  // namespace kiln::worker
