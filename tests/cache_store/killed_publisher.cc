// killed_publisher STATE RUN FIRST COUNT KILL_AT: opens the store of STATE, publishes COUNT keys (0: without
// end) from number FIRST, and writes "stored I" or "there I" to stdout as each is acknowledged. With KILL_AT > 0
// it kills itself with -9 at that operation on the file system, in the middle of it where it is a write.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/file_system.h"
#include "cache_store/disk_store.h"
#include "tests/cache_store/artifact_builder.h"
#include "tests/cache_store/killed_publisher.h"

namespace kiln::cache {
namespace {

class KillCounter {
 public:
  explicit KillCounter(long kill_at) : left_(kill_at) {}
  [[nodiscard]] bool is_due() { return left_ > 0 && --left_ == 0; }
  void step() {
    if (is_due()) die();
  }
  [[noreturn]] static void die() {
    std::raise(SIGKILL);
    std::abort();
  }

 private:
  long left_;
};

class KillingFile final : public WritableFile {
 public:
  KillingFile(std::unique_ptr<WritableFile> file, KillCounter& counter) : file_(std::move(file)), counter_(counter) {}
  Status append(std::span<const std::byte> bytes) override {
    if (!counter_.is_due()) return file_->append(bytes);
    (void)file_->append(bytes.first(bytes.size() / 2));
    KillCounter::die();
  }
  Status sync() override { return counter_.step(), file_->sync(); }
  Status close() override { return counter_.step(), file_->close(); }

 private:
  std::unique_ptr<WritableFile> file_;
  KillCounter& counter_;
};

class KillingFileSystem final : public FileSystem {
 public:
  explicit KillingFileSystem(long kill_at) : counter_(kill_at) {}
  Result<std::unique_ptr<WritableFile>> create_exclusive(const std::string& path, std::uint32_t mode) override {
    counter_.step();
    KILN_TRY_ASSIGN(auto file, files_.create_exclusive(path, mode));
    return std::make_unique<KillingFile>(std::move(file), counter_);
  }
  Result<UniqueFd> open_for_read(const std::string& path) override {
    return counter_.step(), files_.open_for_read(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    return counter_.step(), files_.rename(from, to);
  }
  Status sync_file(const std::string& path) override { return counter_.step(), files_.sync_file(path); }
  Status sync_directory(const std::string& path) override { return counter_.step(), files_.sync_directory(path); }
  Status make_directory(const std::string& path, std::uint32_t mode) override {
    return counter_.step(), files_.make_directory(path, mode);
  }
  Status remove_file(const std::string& path) override { return counter_.step(), files_.remove_file(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return counter_.step(), files_.list(path);
  }
  Result<FileInfo> stat(const std::string& path) override { return counter_.step(), files_.stat(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    return counter_.step(), files_.lock(path);
  }

 private:
  FileSystem& files_ = posix_file_system();
  KillCounter counter_;
};

Status run(const std::string& state, int run_number, int first, int count, long kill_at) {
  KillingFileSystem files(kill_at);
  KILN_TRY(make_directories(files, state));
  KILN_TRY_ASSIGN(const SigningKey signer, SigningKey::load_or_create(files, state + "/signing_key"));
  DiskStoreOptions options;
  options.root = state + "/cache";
  options.trusted = test::trusting(signer);
  KILN_TRY_ASSIGN(const auto store, open_disk_store(files, std::move(options)));
  for (int i = first; count == 0 || i < first + count; ++i) {
    const std::string content = test::built_content(test::key_name(i), run_number);
    const Digest key = test::key_of(test::key_name(i));
    KILN_TRY_ASSIGN(const PublishOutcome outcome, store->publish(key, test::envelope_of(key, content, signer),
                                                                 test::sealed(content).get()));
    fmt::print("{} {}\n", outcome == PublishOutcome::kStored ? "stored" : "there", i);
    std::fflush(stdout);
  }
  return {};
}

}  // namespace
}  // namespace kiln::cache

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const auto status = kiln::cache::run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]),
                                       std::atol(argv[5]));
  if (!status) fmt::print(stderr, "{}\n", status.error().message);
  return status ? 0 : 1;
}
