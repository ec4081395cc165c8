// A lane on a card that is none: asks its worker for the true kernels, as a lane does, until it is offered some; what
// it hears goes to its log. A worker starts it in place of kiln-lane.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/wall_clock.h"
#include "cache_store/artifact_admission.h"
#include "lane/gpu/nvrtc.h"
#include "net/lane_codec.h"
#include "net/local_channel.h"

namespace {

using namespace kiln;

constexpr const char* kArch = "sm_90";
constexpr int kAskAgainMs = 250;
constexpr std::chrono::milliseconds kSendDeadline{10'000};

bool send(net::LocalChannel& channel, const net::FromLane& message) {
  return channel.send(net::encode(message), {}, kSendDeadline).has_value();
}

bool ask(net::LocalChannel& channel) {
  return send(channel, net::KernelsWanted{kArch, lane::own_kernel_source().text, lane::nvrtc_options()});
}

// True when there are kernels, good or bad.
bool hear(const net::OfferKernels& offer, const std::vector<UniqueFd>& descriptors) {
  if (descriptors.size() != 1) {
    std::fprintf(stderr, "offered no kernels\n");
    return false;
  }
  const auto key = Digest::from_hex(offer.key);
  const auto trusted = cache::TrustedKeys::parse(offer.trusted_keys);
  if (!key || !trusted) {
    std::fprintf(stderr, "offered nonsense\n");
    return true;
  }
  const auto manifest =
      cache::admit_kernels(offer.envelope, descriptors[0].get(), *key, kArch, *trusted, unix_seconds());
  std::fprintf(stderr, "offered kernels %s: %s\n", offer.key.c_str(), manifest ? "good" : manifest.error().message.c_str());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || std::string_view(argv[1]) != "--channel") return 2;
  net::LocalChannel channel((UniqueFd(std::atoi(argv[2]))));
  net::Hello hello;
  hello.pid = ::getpid();
  if (!send(channel, hello) || !ask(channel)) return 1;
  bool waits = true;
  while (true) {
    pollfd ready{channel.fd(), POLLIN, 0};
    if (::poll(&ready, 1, waits ? kAskAgainMs : -1) == 0) {
      if (!ask(channel)) return 1;
      continue;
    }
    auto received = channel.receive();
    if (!received || !*received) return 0;
    const auto message = net::decode_to_lane((*received)->bytes);
    if (!message || std::holds_alternative<net::Shutdown>(*message)) return 0;
    if (const auto* offer = std::get_if<net::OfferKernels>(&*message)) waits = !hear(*offer, (*received)->descriptors);
  }
}
