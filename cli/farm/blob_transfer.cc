#include "cli/farm/blob_transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_system.h"
#include "base/sha256.h"
#include "cache_store/near_store.h"

namespace kiln::cli {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr mode_t kOutputMode = 0644;
constexpr std::size_t kPartialDigits = 16;

// What a new file beside `path` gets, by the user's mask.
mode_t mode_of_new_file(const std::string& path) {
  const std::string probe = fetch_part_of(path);
  const UniqueFd file(::open(probe.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, kOutputMode));
  struct stat info {};
  const bool known = file.valid() && ::fstat(file.get(), &info) == 0;
  ::unlink(probe.c_str());
  return known ? info.st_mode & 0777 : kOutputMode;
}

std::string target_of(const std::string& sha256, const std::string& query) {
  return "/cas/" + sha256 + (query.empty() ? "" : "?" + query);
}

}  // namespace

std::string fetch_part_of(const std::string& path) {
  Sha256 hash;
  hash.update(path.substr(path.rfind('/') + 1));
  return parent_directory(path) + "/.kiln-" + hash.finish().hex().substr(0, kPartialDigits) + "-fetch";
}

Result<BlobTransfer> BlobTransfer::open(net::Grants grants) {
  if (!grants.store_url.starts_with(kScheme)) {
    return fail(make_error(ErrorCode::kInternal, "{}: no address of a store", grants.store_url));
  }
  net::HttpClientOptions options;
  KILN_TRY_ASSIGN(options.server, net::parse_host_port(grants.store_url.substr(kScheme.size())));
  return BlobTransfer(std::move(grants), options);
}

Result<net::BlobRef> BlobTransfer::upload(const std::string& path) {
  auto file = posix_file_system().open_for_read(path);
  if (!file) {
    if (file.error().code == ErrorCode::kNotFound) return fail(input_missing("{}: no such file", path));
    return fail(input_refused("{}", file.error().message));
  }
  KILN_TRY_ASSIGN(const Digest digest, sha256_of_fd(file->get()));
  KILN_TRY_ASSIGN(const FileInfo info, posix_file_system().stat(path));
  const net::BlobRef blob{digest.hex(), info.size_bytes};
  auto sent = client_->put(target_of(blob.sha256, grants_.write_query), {file->get(), 0, blob.bytes});
  if (!sent) return fail(sent.error().with_context(path));
  return blob;
}

Status BlobTransfer::download(const net::BlobRef& blob, const std::string& path) {
  const std::string partial = fetch_part_of(path);
  const UniqueFd file(::open(partial.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kOutputMode));
  if (!file.valid()) return fail(output_unwritable("{}: {}", partial, errno_error(errno, "open").message));
  const auto finish = [&]() -> Status {
    KILN_TRY(client_->get_to_fd(target_of(blob.sha256, grants_.read_query), file.get(), blob.bytes));
    KILN_TRY_ASSIGN(const Digest digest, sha256_of_fd(file.get()));
    if (digest.hex() != blob.sha256) return fail(make_error(ErrorCode::kDataLoss, "{}: the store gave other bytes", path));
    KILN_TRY(posix_file_system().sync_file(partial));
    KILN_TRY(posix_file_system().rename(partial, path));
    return posix_file_system().sync_directory(parent_directory(path));
  };
  Status status = finish();
  if (!status) ::unlink(partial.c_str());
  return status;
}

Result<bool> BlobTransfer::take(const net::BlobRef& blob, const std::string& path) {
  KILN_TRY_ASSIGN(const Digest digest, Digest::from_hex(blob.sha256));
  const auto folder = cache::find_near_folder(*client_, grants_.read_query);
  if (!folder || folder->empty()) return false;
  KILN_TRY_ASSIGN(const bool taken, cache::take_file(*client_, *folder, {digest, blob.bytes, grants_.write_query}, path));
  if (taken && ::chmod(path.c_str(), mode_of_new_file(path)) != 0) return fail(errno_error(errno, path));
  return taken;
}

Result<std::string> BlobTransfer::text(const net::BlobRef& blob, std::uint64_t bytes_max) {
  KILN_TRY_ASSIGN(net::HttpAnswer answer, client_->get(target_of(blob.sha256, grants_.read_query), bytes_max));
  return std::move(answer.body);
}

}  // namespace kiln::cli
