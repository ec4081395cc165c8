// What anybody may send to the coordinator, and what a journal may hold: any bytes decode or are refused. What was
// accepted can be sent on, and is then the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/farm_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)kiln::net::decode_farm_head(bytes);
  if (const auto message = kiln::net::decode_farm_message(bytes)) {
    const auto again = kiln::net::decode_farm_message(kiln::net::encode(*message));
    if (!again || *again != *message) std::abort();
  }
  if (const auto fact = kiln::net::decode_fact(bytes)) {
    const auto again = kiln::net::decode_fact(kiln::net::encode(*fact));
    if (!again || *again != *fact) std::abort();
  }
  return 0;
}
