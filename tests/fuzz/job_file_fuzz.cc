// Any bytes as a job file: a draft that the coordinator's decoder takes as a request, or an error of one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cli/farm/job_file.h"
#include "net/farm_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto draft = kiln::cli::parse_job_file(text, "fuzz.toml", "/jobs");
  if (!draft) {
    if (kiln::exit_code(draft.error()) != 78 || draft.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  kiln::net::FarmMessage message;
  message.body = kiln::net::ClientRequest{kiln::net::Submit{draft->request}};
  if (!kiln::net::decode_farm_message(kiln::net::encode(message))) std::abort();
  return 0;
}
