// Where an output goes: refused early when it cannot go there, written beside its place under another name,
// and put in place in one step when it is whole.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"

namespace kiln::cli {

class OutputPlace {
 public:
  // Exit code 73: it exists (without `overwrite`), or its folder cannot be written.
  [[nodiscard]] static Result<OutputPlace> reserve(const std::string& output, const std::string& job, bool overwrite);

  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] const std::string& temporary() const { return temporary_; }  // what the join writes
  [[nodiscard]] Status commit(FileSystem& files) const;
  void discard() const;

 private:
  std::string output_;
  std::string temporary_;
  std::string temporary_folder_;  // of an image sequence
};

[[nodiscard]] bool is_image_pattern(std::string_view path);

// Names for several inputs: `<folder>/<stem>_x4.<extension>`; two inputs of one stem are told apart by a number.
// A container that cannot hold `codec` (empty: the default) gives way to one that can.
[[nodiscard]] std::vector<std::string> output_names(const std::vector<std::string>& inputs, const std::string& folder,
                                                    const std::string& scale, const std::string& codec);

}  // namespace kiln::cli
