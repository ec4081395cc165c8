// Files to the store and back, by the grants that a coordinator gave.
#pragma once

#include <string>

#include "net/farm_replies.h"
#include "net/http_client.h"

namespace kiln::cli {

// One owner thread.
class BlobTransfer {
 public:
  [[nodiscard]] static Result<BlobTransfer> open(net::Grants grants);

  // Hashes the file, and sends it unless the store has it.
  [[nodiscard]] Result<net::BlobRef> upload(const std::string& path);
  // Into a new file beside `path`, which gets its name when it is whole and hashes to what was asked for.
  [[nodiscard]] Status download(const net::BlobRef& blob, const std::string& path);
  // The same without a copy, where the store's folder is seen and nobody else wants the blob: the file is then the store's no
  // longer. False: it has to be fetched. After an error it may be at `path`, and nowhere else. Needs a grant to write.
  [[nodiscard]] Result<bool> take(const net::BlobRef& blob, const std::string& path);
  [[nodiscard]] Result<std::string> text(const net::BlobRef& blob, std::uint64_t bytes_max);

 private:
  BlobTransfer(net::Grants grants, net::HttpClientOptions options)
      : grants_(std::move(grants)), client_(std::make_unique<net::HttpClient>(options)) {}
  net::Grants grants_;
  std::unique_ptr<net::HttpClient> client_;
};

// Beside `path`: what becomes it and is not whole yet. The name of a file may be as long as names can be: nothing is put in
// front or behind it.
[[nodiscard]] std::string fetch_part_of(const std::string& path);

}  // namespace kiln::cli
