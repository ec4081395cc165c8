#include "tests/net/raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <zmq.h>

#include <string>

#include "base/check.h"

namespace kiln::net::test {
namespace {

constexpr int kDeadlineMs = 10'000;
constexpr std::size_t kGreetingBytes = 64;
constexpr std::size_t kNonceBytes = 8;
using LongNonce = std::array<std::uint8_t, crypto_box_NONCEBYTES>;

std::string number(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned shift = bytes * 8; shift > 0; shift -= 8) text += static_cast<char>((value >> (shift - 8)) & 0xFFU);
  return text;
}

template <typename Bytes>
std::string text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const std::uint8_t* raw(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

LongNonce nonce_of(std::string_view prefix, std::string_view rest) {
  LongNonce nonce{};
  const std::string text = std::string(prefix) + std::string(rest);
  KILN_CHECK(text.size() == nonce.size(), "{}", text.size());
  std::copy(text.begin(), text.end(), nonce.begin());
  return nonce;
}

std::string box(std::string_view plain, const LongNonce& nonce, const std::uint8_t* public_key,
                const std::uint8_t* secret_key) {
  std::string out(plain.size() + crypto_box_MACBYTES, '\0');
  KILN_CHECK(crypto_box_easy(reinterpret_cast<std::uint8_t*>(out.data()), raw(plain), plain.size(), nonce.data(),
                             public_key, secret_key) == 0,
             "box");
  return out;
}

std::array<std::uint8_t, 32> from_z85(const std::string& text) {
  std::array<std::uint8_t, 32> key{};
  KILN_CHECK(::zmq_z85_decode(key.data(), text.c_str()) != nullptr, "{}", text);
  return key;
}

}  // namespace

std::string metadata_of(const std::map<std::string, std::string>& properties) {
  std::string text;
  for (const auto& [name, value] : properties) {
    text += number(name.size(), 1) + name + number(value.size(), 4) + value;
  }
  return text;
}

RawPeer::RawPeer(const std::string& endpoint) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  KILN_CHECK(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "errno {}", errno);
}

bool RawPeer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string RawPeer::read(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t done = 0; done < size;) {
    pollfd readable{socket_.get(), POLLIN, 0};
    if (::poll(&readable, 1, kDeadlineMs) != 1) return {};
    const ssize_t n = ::recv(socket_.get(), out.data() + done, size - done, 0);
    if (n <= 0) return {};
    done += static_cast<std::size_t>(n);
  }
  return out;
}

bool RawPeer::is_closed() {
  while (true) {
    pollfd readable{socket_.get(), POLLIN, 0};
    if (::poll(&readable, 1, kDeadlineMs) != 1) return false;
    std::array<char, 4096> buffer{};
    if (::recv(socket_.get(), buffer.data(), buffer.size(), 0) <= 0) return true;
  }
}

bool RawPeer::is_closed_without_a_word() {
  pollfd readable{socket_.get(), POLLIN, 0};
  char byte = 0;
  return ::poll(&readable, 1, kDeadlineMs) == 1 && ::recv(socket_.get(), &byte, 1, 0) <= 0;
}

bool RawPeer::greet(std::string_view mechanism) {
  std::string greeting = std::string("\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01", 12) + std::string(mechanism);
  greeting.resize(kGreetingBytes, '\0');
  return send(greeting) && read(kGreetingBytes).size() == kGreetingBytes;
}

bool RawPeer::send_command(std::string_view body) {
  if (body.size() < 256) return send(std::string("\x04", 1) + number(body.size(), 1) + std::string(body));
  return send(std::string("\x06", 1) + number(body.size(), 8) + std::string(body));
}

std::string RawPeer::read_frame() {
  const std::string flags = read(1);
  if (flags.empty()) return {};
  const std::string size_bytes = read((flags[0] & 0x02) != 0 ? 8 : 1);
  if (size_bytes.empty()) return {};
  std::size_t size = 0;
  for (const char byte : size_bytes) size = size << 8U | static_cast<std::uint8_t>(byte);
  return read(size);
}

bool RawPeer::handshake_without_keys(const std::map<std::string, std::string>& properties) {
  auto all = properties;
  all.emplace("Socket-Type", "DEALER");
  return greet("NULL") && send_command("\x05READY" + metadata_of(all)) && read_frame().starts_with("\x05READY");
}

bool RawPeer::handshake_with_keys(const std::string& public_z85, const std::string& secret_z85,
                                  const std::string& server_z85,
                                  const std::map<std::string, std::string>& properties) {
  KILN_CHECK(sodium_init() >= 0, "sodium");
  const Key own_public = from_z85(public_z85);
  const Key own_secret = from_z85(secret_z85);
  const Key server = from_z85(server_z85);
  Key transient_public{};
  crypto_box_keypair(transient_public.data(), own_transient_secret_.data());
  if (!greet("CURVE")) return false;
  const std::string hello_nonce = number(++nonce_, kNonceBytes);
  std::string hello = std::string("\x05HELLO\x01\0", 8) + std::string(72, '\0') + text_of(transient_public) + hello_nonce;
  hello += box(std::string(64, '\0'), nonce_of("CurveZMQHELLO---", hello_nonce), server.data(),
               own_transient_secret_.data());
  if (!send_command(hello)) return false;
  const std::string welcome = read_frame();
  if (!welcome.starts_with("\x07WELCOME") || welcome.size() != 168) return false;
  std::array<std::uint8_t, 128> opened{};
  if (crypto_box_open_easy(opened.data(), raw(welcome) + 24, 144,
                           nonce_of("WELCOME-", welcome.substr(8, 16)).data(), server.data(),
                           own_transient_secret_.data()) != 0) {
    return false;
  }
  std::copy_n(opened.begin(), server_transient_.size(), server_transient_.begin());
  const std::string cookie = text_of(opened).substr(32);
  const std::string vouch_nonce(16, 'v');
  auto all = properties;
  all.emplace("Socket-Type", "DEALER");
  std::string inside = text_of(own_public) + vouch_nonce;
  inside += box(text_of(transient_public) + text_of(server), nonce_of("VOUCH---", vouch_nonce),
                server_transient_.data(), own_secret.data());
  inside += metadata_of(all);
  const std::string nonce = number(++nonce_, kNonceBytes);
  const std::string initiate = "\x08INITIATE" + cookie + nonce +
                               box(inside, nonce_of("CurveZMQINITIATE", nonce), server_transient_.data(),
                                   own_transient_secret_.data());
  encrypted_ = true;
  return send_command(initiate) && read_frame().starts_with("\x05READY");
}

bool RawPeer::send_message(std::string_view bytes) {
  if (!encrypted_) return send_part(bytes, false);
  const std::string nonce = number(++nonce_, kNonceBytes);
  const std::string body = "\x07MESSAGE" + nonce +
                           box(std::string(1, '\0') + std::string(bytes), nonce_of("CurveZMQMESSAGEC", nonce),
                               server_transient_.data(), own_transient_secret_.data());
  return send_part(body, false);
}

bool RawPeer::send_part(std::string_view bytes, bool more) {
  return send(std::string(1, static_cast<char>(0x02 | (more ? 0x01 : 0x00))) + number(bytes.size(), 8) +
              std::string(bytes));
}

}  // namespace kiln::net::test
