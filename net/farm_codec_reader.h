// Takes values out of a message and remembers the first that is not what it has to be. Each call returns a value that
// can be held whatever came, so that a reader goes through a whole message and asks once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln::net {

// `field` is "Message.field" and must live as long as the reader; it names the place in the error.
class WireReader {
 public:
  // `what` begins the error: "farm message".
  explicit WireReader(std::string_view what) : what_(what) {}

  std::string text(const std::string& value, std::string_view field);   // one line
  std::string label(const std::string& value, std::string_view field);  // one short line
  std::string word(const std::string& value, std::string_view field);
  std::string path(const std::string& value, std::string_view field);
  std::string relative_path(const std::string& value, std::string_view field);
  std::string document(const std::string& value, std::size_t bytes_max, std::string_view field);  // several lines
  std::string job(const std::string& value, std::string_view field);
  std::string job_or_none(const std::string& value, std::string_view field);
  std::string worker(const std::string& value, std::string_view field);
  std::string worker_or_none(const std::string& value, std::string_view field);
  std::string key(const std::string& value, std::string_view field);     // a SHA-256
  std::string digest(const std::string& value, std::string_view field);  // a SHA-256 or empty
  std::string executor(const std::string& value, std::string_view field);
  std::string precision(const std::string& value, std::string_view field);  // empty: auto
  std::string dtype(const std::string& value, std::string_view field);      // empty: float32, as before there were others
  std::string numerics(const std::string& value, std::string_view field);
  std::uint32_t limit(std::uint32_t value, std::string_view field);  // of compile settings
  ErrorCode code(const std::string& value, std::string_view field);
  std::uint64_t bytes(std::uint64_t value, std::string_view field);
  std::int64_t count(std::int64_t value, std::string_view field);
  std::int64_t frames(std::int64_t value, std::string_view field);
  std::int64_t side(std::int64_t value, std::string_view field);
  int side32(std::int32_t value, std::string_view field);
  int integer(std::int32_t value, int least, int most, std::string_view field);
  std::int64_t integer64(std::int64_t value, std::int64_t least, std::int64_t most, std::string_view field);
  double number(double value, std::string_view field);  // finite, not negative
  // `last` is the enum's last value; on the wire 0 says that there is none.
  template <typename Enum>
  Enum enumerator(int value, Enum last, std::string_view field) {
    return static_cast<Enum>(enumerator_index(value, static_cast<int>(last), field));
  }
  // Whether to go on with a list of `size` entries.
  bool may_hold(int size, std::size_t most, std::string_view field);
  void refuse(std::string_view field, std::string_view why);

  [[nodiscard]] Status status() const;

 private:
  std::string text_of(const std::string& value, std::size_t bytes_max, std::string_view field);
  int enumerator_index(int value, int last, std::string_view field);
  std::string checked(bool good, const std::string& value, std::string_view field, std::string_view grammar);

  std::string_view what_;
  std::string refused_;  // the error's message; empty: none yet
};

}  // namespace kiln::net
