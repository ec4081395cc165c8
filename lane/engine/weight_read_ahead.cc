#include "lane/engine/weight_read_ahead.h"

#include <algorithm>
#include <set>
#include <span>

namespace kiln::lane {
namespace {

// Between two looks at whether to end.
constexpr std::size_t kPieceBytes = std::size_t{8} << 20U;
constexpr std::size_t kPageBytes = 4096;

std::set<std::string> files_of(const sharding::GeneratorManifest& manifest, std::string_view weights) {
  std::set<std::string> files;
  for (const sharding::GeneratorTensor& tensor : manifest.tensors) {
    if (tensor.weights == weights) files.insert(tensor.file);
  }
  return files;
}

// One byte of each page is enough.
void touch(std::span<const std::byte> bytes) {
  std::byte all{};
  for (std::size_t at = 0; at < bytes.size(); at += kPageBytes) all ^= bytes[at];
  volatile std::byte used = all;  // else nobody would have to read
  (void)used;
}

}  // namespace

WeightReadAhead::WeightReadAhead(const GeneratorPackage& package, std::string weights)
    : thread_([this, &package, weights = std::move(weights)](const std::stop_token& stop) {
        read_all(stop, package, weights);
      }) {}

std::uint64_t WeightReadAhead::finish() {
  if (thread_.joinable()) thread_.join();
  return bytes_;
}

void WeightReadAhead::read_all(const std::stop_token& stop, const GeneratorPackage& package, const std::string& weights) {
  for (const std::string& file : files_of(package.manifest(), weights)) {
    const auto mapping = package.map_weights(file);
    if (!mapping) return;
    std::span<const std::byte> left = mapping->bytes();
    while (!left.empty() && !stop.stop_requested()) {
      const std::size_t piece = std::min(left.size(), kPieceBytes);
      touch(left.first(piece));
      bytes_ += piece;
      left = left.subspan(piece);
    }
  }
}

}  // namespace kiln::lane
