#include "lane/media/source_input.h"

namespace kiln::lane {

std::vector<std::string> input_arguments(const ClipSource& source) {
  if (source.location.empty()) return {"-i", "file:" + source.path};
  if (source.location.starts_with('/')) return {"-i", "file:" + source.location};
  // Waits are longer than a store needs to come back, and end all the same.
  return {"-protocol_whitelist", "http,tcp", "-seekable", "1", "-reconnect", "1", "-reconnect_on_network_error", "1",
          "-reconnect_delay_max", "30", "-rw_timeout", "60000000", "-i", source.location};
}

std::string without_location(std::string text, const ClipSource& source) {
  if (source.location.empty()) return text;
  for (auto at = text.find(source.location); at != std::string::npos; at = text.find(source.location, at)) {
    text.replace(at, source.location.size(), source.path);
    at += source.path.size();
  }
  return text;
}

}  // namespace kiln::lane
