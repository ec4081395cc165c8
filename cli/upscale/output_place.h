// Where an output goes: refused early when it cannot go there, written beside its place under another name,
// and put in place in one step when it is whole.
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"

namespace kiln::cli {

class OutputPlace {
 public:
  // An earlier run of this very job may have been ended while it moved the images of a whole sequence: moves
  // the rest. It may be ended in turn.
  [[nodiscard]] static Status complete(FileSystem& files, const std::string& output, const std::string& job);
  // The output is in its place; what may still lie beside it is of no use.
  static void remove_leftovers(const std::string& output, const std::string& job);
  // Exit code 73: it exists (without `overwrite`), or its folder cannot be written.
  // What complete() has to look after, it has looked after.
  [[nodiscard]] static Result<OutputPlace> reserve(const std::string& output, const std::string& job, bool overwrite);

  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] const std::string& temporary() const { return temporary_; }  // what the join writes
  // Durable when it returns. Of a sequence that is replaced, no image stays that the new one has no number for.
  [[nodiscard]] Status commit(FileSystem& files) const;
  // Not what commit() has begun to move: complete() does the rest.
  void discard() const;

 private:
  std::string output_;
  std::string temporary_;
  std::string temporary_folder_;  // of an image sequence
  bool overwrite_ = false;

  [[nodiscard]] Status commit_images(FileSystem& files) const;
};

// Names for several inputs: `<folder>/<stem>_x4.<extension>`; two inputs of one stem are told apart by a number.
// A container that cannot hold `codec` (empty: the default) gives way to one that can.
[[nodiscard]] std::vector<std::string> output_names(const std::vector<std::string>& inputs, const std::string& folder,
                                                    const std::string& scale, const std::string& codec);

}  // namespace kiln::cli
