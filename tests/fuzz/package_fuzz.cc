// libFuzzer: any bytes as a graph, an archive, a manifest or weights. Build with -DKILN_FUZZ=ON and clang.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lane/engine/safetensors.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/graph/liveness.h"
#include "sharding/package/generator_manifest.h"
#include "sharding/package/package_manifest.h"
#include "sharding/package/pt2_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  switch (data[0] % 6) {
    case 0: {
      const auto graph = kiln::sharding::parse_exported_graph(text, "fuzz");
      if (graph) (void)kiln::sharding::peak_activation_bytes(*graph, {{"s0", 7}, {"s1", 9}}, 1);
      break;
    }
    case 1: (void)kiln::sharding::read_pt2_graph(bytes); break;
    case 2: (void)kiln::sharding::parse_package_manifest(text, "fuzz"); break;
    case 3: (void)kiln::sharding::parse_generator_manifest(text, "fuzz"); break;
    case 4: {
      const auto expression = kiln::sharding::parse_expression(text);
      if (expression) (void)kiln::sharding::evaluate(*expression, {{"s0", 7}, {"s1", -9}});
      break;
    }
    default: (void)kiln::lane::read_safetensors(bytes); break;
  }
  return 0;
}
