// The lines that the worker and its compile child exchange; python/kiln_compile/__main__.py is the other end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "worker/compile_child.h"

namespace kiln::worker {

inline constexpr std::uint32_t kCompileProtocol = 2;
inline constexpr std::size_t kCompileMessageBytesMax = 4096;  // of an error, for a person
inline constexpr std::size_t kOutputsMax = 64;

struct ChildHello {
  std::uint32_t protocol = 0;
  std::string torch_git;
  std::string recipe_sha256;
};
struct ChildProgress {
  std::string text;
};
struct ChildDone {
  std::uint64_t id = 0;
  CompiledLibrary result;  // without the library itself
  std::string library_path;
};
struct ChildError {
  std::uint64_t id = 0;
  std::string message;
};
using ChildReply = std::variant<ChildHello, ChildProgress, ChildDone, ChildError>;

// What the child is told at its start.
[[nodiscard]] std::string encode_child_options(const CompileChildOptions& options);
// One line, newline included.
[[nodiscard]] std::string encode_compile_request(const CompileRequest& request, std::uint64_t id,
                                                 const std::string& graph_json_path, int threads);
[[nodiscard]] std::string encode_kernel_request(const KernelRequest& request, std::uint64_t id,
                                                const std::string& source_path);
// The child is not trusted with anything but its own answer: form, types and bounds are checked.
[[nodiscard]] Result<ChildReply> decode_child_reply(std::string_view line);

}  // namespace kiln::worker
