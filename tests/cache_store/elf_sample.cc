// A shared library as small as one gets, for the tests that read libraries; nothing loads it.
#include <string>

extern "C" __attribute__((visibility("default"))) int kiln_elf_sample(const char* text) {
  return static_cast<int>(std::string(text).append("sample").size());
}
