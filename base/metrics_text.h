// What a program counts, as text that Prometheus reads (exposition format 0.0.4).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace kiln {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// Builds one answer; one owner. Samples of one name come one after another: its help and type are written
// when the name changes. Names are ours: [a-z0-9_], counters end in _total. Label values may be any text.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  void counter(std::string_view name, std::string_view help, std::uint64_t value, Labels labels = {});
  void gauge(std::string_view name, std::string_view help, std::uint64_t value, Labels labels = {});
  void gauge_seconds(std::string_view name, std::string_view help, double value, Labels labels = {});

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void sample(std::string_view type, std::string_view name, std::string_view help, std::string_view value,
              Labels labels);

  std::string text_;
  std::string last_name_;
};

}  // namespace kiln
