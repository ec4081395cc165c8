#include "cache_store/verified_read.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/sealed_file.h"

namespace kiln::cache {
namespace {

BadEntry mismatch(const std::string& path, const Digest& actual) {
  return BadEntry{TrustError{TrustFailure::kContentMismatch, "holds bytes with SHA-256 " + actual.hex()}, {path}};
}

using FileOpen = std::variant<Absent, BadEntry, UniqueFd>;

BadEntry unreadable(const std::string& path, const std::string& message) {
  return BadEntry{TrustError{TrustFailure::kUnreadable, message}, {path}};
}

Result<FileOpen> open_entry(FileSystem& files, const std::string& path) {
  auto fd = files.open_for_read(path);
  if (fd) return FileOpen(std::move(*fd));
  const Error& error = fd.error();
  if (error.code == ErrorCode::kNotFound) return FileOpen(Absent{});
  const auto info = files.stat(path);
  // A link, a folder or a file without read permission in our folders: somebody else put it there.
  if (error.code == ErrorCode::kPermissionDenied || (info && !info->is_regular)) {
    return FileOpen(unreadable(path, error.message));
  }
  return fail(error);
}

// The sealed copy of a whole file. A file that cannot be read is a BadEntry; no memory is an error.
Result<FileOpen> sealed_copy(const std::string& path, const UniqueFd& file) {
  auto copy = make_sealed_from_fd("kiln-store", file.get());
  if (copy) return FileOpen(std::move(*copy));
  const auto readable = sha256_of_fd(file.get());
  if (!readable) return FileOpen(unreadable(path, readable.error().message));
  return fail(copy.error());
}

Result<FileOpen> open_sealed(FileSystem& files, const std::string& path) {
  KILN_TRY_ASSIGN(FileOpen opened, open_entry(files, path));
  if (auto* file = std::get_if<UniqueFd>(&opened)) return sealed_copy(path, *file);
  return opened;
}

// What is to be moved away when an artifact does not verify: its envelope, and its content when that is
// not what its own name says.
Result<BadEntry> bad_artifact(const StoreFolders& folders, const Digest& key, const Digest& content, int copy_fd,
                              TrustError why) {
  BadEntry bad{std::move(why), {folders.key_path(key)}};
  if (is_signature_failure(bad.why.reason)) return bad;
  KILN_TRY_ASSIGN(const Digest actual, sha256_of_fd(copy_fd));
  if (actual != content) bad.paths.push_back(folders.blob_path(content));
  return bad;
}

Result<ArtifactRead> read_content(FileSystem& files, const StoreFolders& folders, const Digest& key,
                                  std::string envelope, const ArtifactManifest& signed_manifest,
                                  const TrustedKeys& trusted, std::int64_t now_unix_s) {
  const Digest& content = signed_manifest.content_sha256;
  KILN_TRY_ASSIGN(FileOpen opened, open_sealed(files, folders.blob_path(content)));
  if (std::holds_alternative<Absent>(opened)) {
    return ArtifactRead(unreadable(folders.key_path(key), "its content " + content.hex() + " is missing"));
  }
  if (auto* bad = std::get_if<BadEntry>(&opened)) {
    bad->paths.push_back(folders.key_path(key));
    return ArtifactRead(std::move(*bad));
  }
  UniqueFd copy = std::move(std::get<UniqueFd>(opened));
  auto verified = verify_artifact(envelope, copy.get(), key, trusted, now_unix_s);
  if (!verified) {
    KILN_TRY_ASSIGN(BadEntry bad, bad_artifact(folders, key, content, copy.get(), verified.error()));
    return ArtifactRead(std::move(bad));
  }
  return ArtifactRead(StoredArtifact{std::move(envelope), std::move(copy), std::move(*verified)});
}

}  // namespace

Result<ArtifactRead> read_artifact(FileSystem& files, const StoreFolders& folders, const Digest& key,
                                   const TrustedKeys& trusted, std::int64_t now_unix_s) {
  KILN_TRY_ASSIGN(FileOpen opened, open_entry(files, folders.key_path(key)));
  if (std::holds_alternative<Absent>(opened)) return ArtifactRead(Absent{});
  if (auto* bad = std::get_if<BadEntry>(&opened)) return ArtifactRead(std::move(*bad));
  auto envelope = read_to_end(std::get<UniqueFd>(opened).get(), 2 * kManifestBytesMax);
  if (!envelope) return ArtifactRead(unreadable(folders.key_path(key), envelope.error().message));
  const auto manifest = verify_envelope(*envelope, key, trusted, now_unix_s);
  if (!manifest) return ArtifactRead(BadEntry{manifest.error(), {folders.key_path(key)}});
  return read_content(files, folders, key, std::move(*envelope), *manifest, trusted, now_unix_s);
}

Result<BlobRead> read_blob(FileSystem& files, const StoreFolders& folders, const Digest& digest) {
  const std::string path = folders.blob_path(digest);
  KILN_TRY_ASSIGN(BlobRead opened, open_sealed(files, path));
  const auto* copy = std::get_if<UniqueFd>(&opened);
  if (copy == nullptr) return opened;
  KILN_TRY_ASSIGN(const Digest actual, sha256_of_fd(copy->get()));
  if (actual == digest) return opened;
  return BlobRead(mismatch(path, actual));
}

Result<BlobOpen> open_blob_file(FileSystem& files, const StoreFolders& folders, const Digest& digest, bool hash) {
  const std::string path = folders.blob_path(digest);
  KILN_TRY_ASSIGN(FileOpen opened, open_entry(files, path));
  if (std::holds_alternative<Absent>(opened)) return BlobOpen(Absent{});
  if (auto* bad = std::get_if<BadEntry>(&opened)) return BlobOpen(std::move(*bad));
  UniqueFd fd = std::move(std::get<UniqueFd>(opened));
  if (hash) {
    const auto actual = sha256_of_fd(fd.get());
    if (!actual) return BlobOpen(unreadable(path, actual.error().message));
    if (*actual != digest) return BlobOpen(mismatch(path, *actual));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error(errno, path));
  return BlobOpen(OpenBlob{std::move(fd), static_cast<std::uint64_t>(info.st_size)});
}

}  // namespace kiln::cache
