#include "cache_store/artifact_frame.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace kiln::cache {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kPrefixBytes = kArtifactFrameMagic.size() + kLengthBytes;

Error malformed(std::string_view why) { return make_error(ErrorCode::kDataLoss, "this is no artifact: {}", why); }

}  // namespace

std::string artifact_frame_head(std::string_view envelope) {
  std::string head(kArtifactFrameMagic);
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    head.push_back(static_cast<char>(static_cast<std::uint64_t>(envelope.size()) >> (8 * i) & 0xffU));
  }
  head += envelope;
  return head;
}

Status ArtifactFrameReader::read_prefix() {
  if (!prefix_.starts_with(kArtifactFrameMagic)) return fail(malformed("it does not begin as one"));
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    const auto byte = static_cast<unsigned char>(prefix_[kArtifactFrameMagic.size() + i]);
    envelope_bytes_ |= static_cast<std::uint64_t>(byte) << (8 * i);
  }
  if (envelope_bytes_ == 0 || envelope_bytes_ > kEnvelopeBytesMax) return fail(malformed("the envelope's length"));
  content_.reset(::memfd_create("kiln-artifact", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!content_.valid()) return fail(errno_error(errno, "memfd_create"));
  return {};
}

Status ArtifactFrameReader::append(std::span<const std::byte> bytes) {
  const auto take_into = [&](std::string& to, std::uint64_t wanted) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), wanted - to.size()));
    to.append(reinterpret_cast<const char*>(bytes.data()), n);
    bytes = bytes.subspan(n);
  };
  if (prefix_.size() < kPrefixBytes) {
    take_into(prefix_, kPrefixBytes);
    if (prefix_.size() < kPrefixBytes) return {};
    KILN_TRY(read_prefix());
  }
  take_into(envelope_, envelope_bytes_);
  content_bytes_ += bytes.size();
  if (content_bytes_ > kArtifactBytesMax) return fail(malformed("it is too large"));
  return bytes.empty() ? Status() : write_fully(content_.get(), bytes);
}

Status ArtifactFrameReader::finish() const {
  const bool whole = prefix_.size() == kPrefixBytes && envelope_.size() == envelope_bytes_ && content_bytes_ > 0;
  return whole ? Status() : Status(fail(malformed("it ends too early")));
}

}  // namespace kiln::cache
