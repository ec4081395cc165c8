// A store whose folder this process sees: same files, same user. Files go in and out of it by their names, without a copy.
// Whoever does not see it sends and fetches bytes; every call here says so by `false`.
#pragma once

#include <string>

#include "base/result.h"
#include "base/sha256.h"
#include "net/http_client.h"

namespace kiln::cache {

// Where a store lies that is on this machine, or on files shared with it; empty: nowhere that we see. Error: it did not answer.
// `read_query`: a grant of GET below /cas/.
[[nodiscard]] Result<std::string> find_near_folder(net::HttpClient& client, const std::string& read_query);

struct NearBlob {
  Digest digest;
  std::uint64_t bytes = 0;
  std::string query;  // a grant of PUT below /cas/, of the owner
};

// The file, which nobody writes to any more, becomes the blob under a name of its own; it stays under this one, too. Durable.
[[nodiscard]] Result<bool> give_file(net::HttpClient& client, const std::string& folder, const NearBlob& blob,
                                     const std::string& path);

// The blob becomes the file `path`, which is made anew, and the store's no longer: nobody else may want it. Durable, but for
// its content, which is what the store had. After an error it may lie there, and the store may have it no more: then it is
// whole, and a later try finds nothing but it.
[[nodiscard]] Result<bool> take_file(net::HttpClient& client, const std::string& folder, const NearBlob& blob,
                                     const std::string& path);

}  // namespace kiln::cache
