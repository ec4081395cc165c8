// The package of a text-to-video model on its way to a farm.
#pragma once

#include <string>

#include "cli/farm/blob_transfer.h"
#include "cli/farm/submission.h"
#include "sharding/package/generator_manifest.h"

namespace kiln::cli {

struct GeneratorManifestFile {
  std::string text;
  sharding::GeneratorManifest manifest;
};
// Exit codes 66 and 65: it is not there, or is none.
[[nodiscard]] Result<GeneratorManifestFile> read_generator_manifest(const std::string& folder);

// Every shot, before anything is sent.
[[nodiscard]] Status check_shots(const sharding::GeneratorManifest& manifest, const net::JobRequest& request);

// Graphs and tokenizer go to the store. Weights, which are many gigabytes, do too, unless they stay where they are: then every worker
// must see them at the same path.
[[nodiscard]] Status upload_generator(BlobTransfer& store, const std::string& folder, GeneratorManifestFile file, bool in_place,
                                      net::JobRequest& request, const UploadProgress& progress);

}  // namespace kiln::cli
