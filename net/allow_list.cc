#include "net/allow_list.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/fd.h"
#include "base/private_file.h"
#include "base/text.h"
#include "net/curve_keys.h"

namespace kiln::net {
namespace {

constexpr std::array<std::pair<PeerRole, std::string_view>, 3> kRoles{{
    {PeerRole::kWorker, "worker"},
    {PeerRole::kClient, "client"},
    {PeerRole::kAdmin, "admin"},
}};
constexpr std::array<std::string_view, kRoles.size()> kRoleNames{kRoles[0].second, kRoles[1].second, kRoles[2].second};
constexpr mode_t kOthersWriteMask = 0022;
constexpr std::size_t kWordsPerLine = 3;

bool is_peer_name(std::string_view name) {
  constexpr std::string_view kChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  return !name.empty() && name.size() <= kPeerNameCharsMax && name.find_first_not_of(kChars) == std::string_view::npos;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view kSpaces = " \t\r";
  for (std::size_t at = line.find_first_not_of(kSpaces); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kSpaces, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kSpaces, end);
  }
  return words;
}

Status add_line(AllowList& list, const std::vector<std::string_view>& words) {
  if (words.size() != kWordsPerLine) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{} words where KEY ROLE NAME are expected", words.size()));
  }
  const auto role = peer_role_from_string(words[1]);
  if (!role) {
    return fail(make_error(ErrorCode::kInvalidArgument, "'{}' is no role (worker, client, admin).{}", words[1],
                           did_you_mean(words[1], kRoleNames)));
  }
  return list.add({std::string(words[2]), *role, std::string(words[0])});
}

}  // namespace

std::string_view to_string(PeerRole role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return name;
  }
  return "unknown";
}

std::optional<PeerRole> peer_role_from_string(std::string_view name) {
  for (const auto& [value, known] : kRoles) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string AllowedPeer::user_id() const { return fmt::format("{}:{}", to_string(role), name); }

Status AllowList::add(AllowedPeer peer) {
  constexpr auto kInvalid = ErrorCode::kInvalidArgument;
  if (!is_z85_key(peer.public_key)) {
    return fail(make_error(kInvalid, "'{}' is no public key (40 characters of Z85)", peer.public_key));
  }
  if (!is_peer_name(peer.name)) {
    return fail(make_error(kInvalid, "'{}' is no name: 1 to {} letters, digits, '.', '-', '_'", peer.name,
                           kPeerNameCharsMax));
  }
  if (const AllowedPeer* other = find(peer.public_key); other != nullptr) {
    return fail(make_error(kInvalid, "this key is that of '{}' already", other->name));
  }
  if (by_name_.contains(peer.name)) return fail(make_error(kInvalid, "the name '{}' is taken already", peer.name));
  if (peers_.size() == kAllowedPeersMax) return fail(make_error(kInvalid, "more than {} keys", kAllowedPeersMax));
  by_key_[peer.public_key] = peers_.size();
  by_name_[peer.name] = peers_.size();
  peers_.push_back(std::move(peer));
  return {};
}

const AllowedPeer* AllowList::find(std::string_view public_key) const {
  const auto at = by_key_.find(public_key);
  return at == by_key_.end() ? nullptr : &peers_[at->second];
}

Result<AllowList> AllowList::parse(std::string_view text, std::string_view origin) {
  if (text.size() > kAllowListBytesMax) {
    return fail(bad_config("{}: {} bytes; an allow-list has at most {}", origin, text.size(), kAllowListBytesMax));
  }
  AllowList list;
  const std::vector<std::string_view> lines = split(text, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> words = words_of(lines[i]);
    if (words.empty() || words.front().front() == '#') continue;
    if (const Status added = add_line(list, words); !added) {
      return fail(bad_config("{}, line {}: {}", origin, i + 1, added.error().message));
    }
  }
  return list;
}

std::string AllowList::to_text() const {
  std::string text;
  for (const AllowedPeer& peer : peers_) {
    text += fmt::format("{} {} {}\n", peer.public_key, to_string(peer.role), peer.name);
  }
  return text;
}

Result<AllowList> AllowList::load(const std::string& path) {
  // Links are followed: a mounted configuration is often one.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return fail(key_file_error(errno_error(errno, path), "allow-list"));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail(errno_error(errno, path));
  if (!S_ISREG(info.st_mode)) return fail(bad_config("allow-list {} is not a regular file", path));
  if ((info.st_mode & kOthersWriteMask) != 0) {
    return fail(bad_config("allow-list {} has mode {:04o}, so others can add keys to it: run 'chmod go-w {}'", path,
                           info.st_mode & 07777U, path));
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return fail(bad_config("allow-list {} belongs to user {}, who can add keys to it", path, info.st_uid));
  }
  const auto text = read_to_end(file.get(), kAllowListBytesMax);
  if (!text) return fail(text.error().with_context(path));
  return parse(*text, path);
}

}  // namespace kiln::net
