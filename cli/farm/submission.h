// A draft becomes a job: package and sources go to the store, then the job to the coordinator.
#pragma once

#include <functional>
#include <string>

#include "cli/farm/farm_link.h"
#include "cli/farm/job_file.h"
#include "sharding/package/package_manifest.h"

namespace kiln::cli {

// The manifest of a package folder, and its text, which the hash of the package is taken of.
struct PackageManifestFile {
  std::string text;
  sharding::PackageManifest manifest;
};
// Exit codes 66 and 65: it is not there, or is none.
[[nodiscard]] Result<PackageManifestFile> read_package_manifest(const std::string& folder);

// Exit code 78, and what to do, where compile settings are unknown or not to be had.
[[nodiscard]] Status check_available(const net::CompileSettings& settings);

class BlobTransfer;

// Told of each file before it is sent.
using UploadProgress = std::function<void(const std::string& path)>;

struct NamedFile {
  std::string name;    // in the package
  std::string sha256;  // empty: whatever it is
};
[[nodiscard]] Status upload_package_file(BlobTransfer& store, net::PackageRef& package, const std::string& folder,
                                         const NamedFile& file, const UploadProgress& progress);

// Image sequences and what is marked in_place stay where they are: every worker must see that path.
[[nodiscard]] Status submit_job(FarmLink& link, JobDraft draft, const UploadProgress& progress);

}  // namespace kiln::cli
