#include "net/curve_keys.h"

#include <string.h>  // explicit_bzero
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/private_file.h"
#include "base/text.h"

namespace kiln::net {
namespace {

constexpr std::string_view kHeader = "kiln-curve-key 1";
constexpr std::string_view kPublicWord = "public ";
constexpr std::string_view kSecretWord = "secret ";
constexpr std::uint64_t kKeyFileBytesMax = 4096;
constexpr std::size_t kKeyBytes = 32;

using Z85Text = std::array<char, kZ85KeyChars + 1>;

void wipe(std::string& text) { ::explicit_bzero(text.data(), text.size()); }

// A text that is wiped when it goes out of sight.
struct SecretText {
  std::string text;
  ~SecretText() { wipe(text); }
};

Error damaged(const std::string& path) {
  return input_refused("{} is not a key file of Kiln, or it is damaged: move it away and make a new one with "
                       "'kiln keygen'",
                       path);
}

// nullopt-like: an empty pair when the text is not exactly the format.
CurveKeyPair parse_key_file(std::string_view text) {
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.size() < 3 || lines[0] != kHeader) return {};
  for (std::size_t i = 3; i < lines.size(); ++i) {
    if (!lines[i].empty()) return {};
  }
  if (!lines[1].starts_with(kPublicWord) || !lines[2].starts_with(kSecretWord)) return {};
  const std::string_view public_key = lines[1].substr(kPublicWord.size());
  const std::string_view secret_key = lines[2].substr(kSecretWord.size());
  if (!is_z85_key(public_key) || !is_z85_key(secret_key)) return {};
  return CurveKeyPair(std::string(public_key), std::string(secret_key));
}

// The descriptor of "fd:N"; -1: it is a path.
int descriptor_of(std::string_view path) {
  constexpr std::string_view kWord = "fd:";
  if (!path.starts_with(kWord)) return -1;
  const std::string_view number = path.substr(kWord.size());
  int fd = -1;
  const auto end = std::from_chars(number.data(), number.data() + number.size(), fd);
  return end.ec == std::errc() && end.ptr == number.data() + number.size() ? fd : -1;
}

// A process that was started before may have read it, and both have one place in it.
Result<std::string> read_descriptor(int fd) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return fail(errno_error(errno, "key file"));
  return read_to_end(fd, kKeyFileBytesMax);
}

Result<std::string> read_private_file(FileSystem& files, const std::string& path) {
  const auto file = files.open_for_read(path);
  if (!file) return fail(key_file_error(file.error(), "key file"));
  KILN_TRY(require_private_file(file->get(), "key file", path));
  auto read = read_to_end(file->get(), kKeyFileBytesMax);
  if (!read) return fail(damaged(path));
  return read;
}

bool halves_belong_together(const CurveKeyPair& keys) {
  Z85Text expected{};
  return ::zmq_curve_public(expected.data(), keys.secret_z85.c_str()) == 0 && expected.data() == keys.public_z85;
}

}  // namespace

CurveKeyPair::CurveKeyPair(std::string public_key, std::string secret_key)
    : public_z85(std::move(public_key)), secret_z85(std::move(secret_key)) {}

CurveKeyPair::~CurveKeyPair() { wipe(secret_z85); }

Result<CurveKeyPair> generate_curve_keys() {
  Z85Text public_key{};
  Z85Text secret_key{};
  do {
    if (::zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
      return fail(make_error(ErrorCode::kUnimplemented, "no key pair: this libzmq has no CURVE ({})",
                             ::zmq_strerror(errno)));
    }
  } while (public_key[0] == '-');  // one in 85; behind --coordinator-key it would look like another flag
  CurveKeyPair keys(public_key.data(), secret_key.data());
  ::explicit_bzero(secret_key.data(), secret_key.size());
  return keys;
}

bool is_z85_key(std::string_view text) {
  if (text.size() != kZ85KeyChars || text.find('\0') != std::string_view::npos) return false;
  std::array<std::uint8_t, kKeyBytes> bytes{};
  Z85Text again{};
  const SecretText copy{std::string(text)};
  const bool valid = ::zmq_z85_decode(bytes.data(), copy.text.c_str()) != nullptr &&
                     ::zmq_z85_encode(again.data(), bytes.data(), bytes.size()) != nullptr &&
                     again.data() == copy.text;
  ::explicit_bzero(bytes.data(), bytes.size());
  ::explicit_bzero(again.data(), again.size());
  return valid;
}

std::string curve_key_text(const CurveKeyPair& keys) {
  return fmt::format("{}\n{}{}\n{}{}\n", kHeader, kPublicWord, keys.public_z85, kSecretWord, keys.secret_z85);
}

Status save_curve_keys(FileSystem& files, const std::string& path, const CurveKeyPair& keys) {
  const SecretText image{curve_key_text(keys)};
  auto file = files.create_exclusive(path, kOwnerOnlyMode);
  if (!file && file.error().code == ErrorCode::kAlreadyExists) {
    return fail(make_error(ErrorCode::kAlreadyExists, "{} exists, and a key is never overwritten: take another name",
                           path));
  }
  if (!file) return fail(std::move(file).error());
  const auto write = [&]() -> Status {
    KILN_TRY((*file)->append(std::as_bytes(std::span(image.text))));
    KILN_TRY((*file)->sync());
    return (*file)->close();
  };
  if (const Status written = write(); !written) {
    static_cast<void>(files.remove_file(path));  // half a key helps nobody, and its name would be taken
    return fail(written.error());
  }
  return files.sync_directory(parent_directory(path));
}

Result<CurveKeyPair> load_curve_keys(FileSystem& files, const std::string& path) {
  const int fd = descriptor_of(path);
  auto read = fd >= 0 ? read_descriptor(fd) : read_private_file(files, path);
  if (!read) return fail(std::move(read).error());
  const SecretText text{std::move(*read)};
  CurveKeyPair keys = parse_key_file(text.text);
  if (keys.secret_z85.empty() || !halves_belong_together(keys)) return fail(damaged(path));
  return keys;
}

}  // namespace kiln::net
