#include "base/metrics_text.h"

#include <fmt/core.h>

namespace kiln {
namespace {

std::string escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void MetricsText::counter(std::string_view name, std::string_view help, std::uint64_t value, Labels labels) {
  sample("counter", name, help, fmt::format("{}", value), labels);
}

void MetricsText::gauge(std::string_view name, std::string_view help, std::uint64_t value, Labels labels) {
  sample("gauge", name, help, fmt::format("{}", value), labels);
}

void MetricsText::gauge_seconds(std::string_view name, std::string_view help, double value, Labels labels) {
  sample("gauge", name, help, fmt::format("{}", value), labels);
}

void MetricsText::sample(std::string_view type, std::string_view name, std::string_view help,
                         std::string_view value, Labels labels) {
  if (name != last_name_) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escape(help, false), name, type);
    last_name_ = name;
  }
  text_ += name;
  char separator = '{';
  for (const auto& [label, label_value] : labels) {
    text_ += fmt::format("{}{}=\"{}\"", separator, label, escape(label_value, true));
    separator = ',';
  }
  if (separator == ',') text_ += '}';
  text_ += fmt::format(" {}\n", value);
}

}  // namespace kiln
