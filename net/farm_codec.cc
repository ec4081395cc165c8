#include "net/farm_codec.h"

#include <google/protobuf/stubs/logging.h>

#include "base/text.h"
#include "net/kiln.pb.h"
#include "net/farm_codec_wire.h"
#include "net/farm_names.h"

namespace kiln::net {
namespace {

std::string range(const FarmVersions& versions) {
  if (versions.oldest == versions.newest) return fmt::format("version {}", versions.oldest);
  return fmt::format("versions {} to {}", versions.oldest, versions.newest);
}

struct BodyPut {
  farm::Envelope& out;
  void operator()(const ClientRequest& in) const { put(in, *out.mutable_request_body()); }
  void operator()(const ClientReply& in) const { put(in, *out.mutable_reply()); }
  void operator()(const FromWorker& in) const { put(in, *out.mutable_from_worker()); }
  void operator()(const ToWorker& in) const { put(in, *out.mutable_to_worker()); }
};

void open(const farm::Envelope& in, FarmMessage& out, WireReader& read) {
  switch (in.body_case()) {
    case farm::Envelope::kRequestBody:
      out.body = get(in.request_body(), read);
      return;
    case farm::Envelope::kReply:
      out.body = get(in.reply(), read);
      return;
    case farm::Envelope::kFromWorker:
      out.body = get(in.from_worker(), read);
      return;
    case farm::Envelope::kToWorker:
      out.body = get(in.to_worker(), read);
      return;
    case farm::Envelope::BODY_NOT_SET:
      break;
  }
  read.refuse("Envelope", "holds nothing that this program knows");
}

// What anybody may send is no reason for protobuf to write to our stderr: the receiver counts what it refuses.
void silence_protobuf() {
  static const auto kBefore = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(kBefore);
}

template <typename Message>
Status parse(std::string_view bytes, std::size_t bytes_max, Message& message) {
  if (bytes.size() > bytes_max) {
    return fail(make_error(ErrorCode::kResourceExhausted, "a farm message has {} bytes; at most {}", bytes.size(),
                           bytes_max));
  }
  silence_protobuf();
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(make_error(ErrorCode::kDataLoss, "{} bytes are no farm message", bytes.size()));
  }
  return {};
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string line(text.substr(0, kTextBytesMax));
  if (text.size() > kTextBytesMax) {
    // Not in the middle of a character: what continues one in UTF-8 goes with it.
    while (!line.empty() && (static_cast<unsigned char>(text[line.size()]) & 0xC0U) == 0x80U) line.pop_back();
  }
  for (char& c : line) {
    if (!is_one_line({&c, 1})) c = ' ';
  }
  return line;
}

std::string encode(const FarmMessage& message) {
  farm::Envelope envelope;
  envelope.set_version_oldest(message.versions.oldest);
  envelope.set_version_newest(message.versions.newest);
  envelope.set_request(message.request);
  std::visit(BodyPut{envelope}, message.body);
  return envelope.SerializeAsString();
}

Result<FarmHead> decode_farm_head(std::string_view bytes, std::size_t bytes_max) {
  farm::EnvelopeHead head;
  KILN_TRY(parse(bytes, bytes_max, head));
  if (head.version_oldest() == 0 || head.version_oldest() > head.version_newest()) {
    return fail(make_error(ErrorCode::kDataLoss, "{} bytes are no farm message: it names no versions", bytes.size()));
  }
  return FarmHead{{head.version_oldest(), head.version_newest()}, head.request()};
}

Status check_versions(const FarmVersions& peer) {
  constexpr FarmVersions kOurs;
  if (peer.oldest <= kOurs.newest && peer.newest >= kOurs.oldest) return {};
  return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kVersionMismatch,
                         "the peer speaks {} of the farm's protocol and this program {}: update the {}", range(peer),
                         range(kOurs), peer.newest < kOurs.oldest ? "peer" : "program here"));
}

Result<FarmMessage> decode_farm_message(std::string_view bytes, std::size_t bytes_max) {
  KILN_TRY_ASSIGN(const FarmHead head, decode_farm_head(bytes, bytes_max));
  KILN_TRY(check_versions(head.versions));
  farm::Envelope envelope;
  KILN_TRY(parse(bytes, bytes_max, envelope));
  FarmMessage message;
  message.versions = head.versions;
  message.request = head.request;
  WireReader read("farm message");
  open(envelope, message, read);
  KILN_TRY(read.status());
  return message;
}

}  // namespace kiln::net
