// What a prompt may be: any bytes are cleaned or refused, and what is cleaned is UTF-8.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lane/text/prompt_cleaning.h"
#include "lane/text/unicode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto clean = kiln::lane::clean_prompt({reinterpret_cast<const char*>(data), size});
  if (clean && !kiln::lane::from_utf8(clean->text)) std::abort();
  if (clean && clean->text.find('\n') != std::string::npos) std::abort();
  return 0;
}
