// The store as a process: killed with -9 under many writers, opened again, and asked for what it acknowledged.
#include "cache_store/store_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <cstdlib>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "base/atomic_file.h"
#include "base/process.h"
#include "cache_store/remote_store.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;

constexpr int kRounds = 12;
constexpr int kWriters = 4;

std::string content_of(int round, int writer, int number) {
  std::string content = fmt::format("{}/{}/{};", round, writer, number);
  const std::size_t bytes = 1000 + static_cast<std::size_t>(number * 7919 % 60'000);
  while (content.size() < bytes) content += content;
  return content;
}

struct StoreProcess {
  ChildProcess process;
  net::HostPort address;
};

StoreProcess start_store(const std::string& root, const std::string& key_file) {
  Pipe pipe = *make_pipe();
  SpawnOptions options;
  options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/killed_store", root, key_file};
  options.stdout_fd = pipe.write_end.get();
  options.stderr_fd = 2;
  auto child = ChildProcess::spawn(options);
  EXPECT_TRUE(child) << child.error().message;
  pipe.write_end.reset();
  std::string line;
  char c = 0;
  while (*read_fully(pipe.read_end.get(), std::as_writable_bytes(std::span(&c, 1))) == 1 && c != '\n') line += c;
  const auto address = net::parse_host_port(line);
  EXPECT_TRUE(address) << "the store printed '" << line << "'";
  return {std::move(*child), address ? *address : net::HostPort()};
}

std::unique_ptr<RemoteStore> connect(const net::HostPort& address, const UrlKey& key, const std::string& owner,
                                     TrustedKeys trusted = {}) {
  RemoteStoreOptions options;
  options.trusted = std::move(trusted);
  options.client.server = address;
  options.client.resumes_max = 0;
  options.grants = [&key, owner](std::string_view method, std::string_view path, std::uint64_t bytes) {
    return key.sign({std::string(method), std::string(path), owner, bytes, 4'000'000'000});
  };
  return open_remote_store(std::move(options));
}

TEST(StoreServiceTest, KilledAtRandomInstantsItLosesNothingAndServesNoWrongByte) {
  const TempFolder folder;
  const std::string root = folder / "cache", key_file = folder / "url_key";
  const UrlKey key = *UrlKey::load_or_create(posix_file_system(), key_file);
  std::mt19937_64 random(8);
  std::set<std::string> acknowledged;
  std::set<std::string> tried;
  for (int round = 0; round < kRounds; ++round) {
    StoreProcess store = start_store(root, key_file);
    std::mutex mutex;
    std::atomic<int> puts{0};
    std::vector<std::thread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] {
        const auto remote = connect(store.address, key, "job");
        for (int number = 0;; ++number) {
          const std::string content = content_of(round, writer, number);
          {
            const std::lock_guard guard(mutex);
            tried.insert(content);
          }
          if (!remote->put_blob(test::bytes_of(content))) return;  // it is dead
          const std::lock_guard guard(mutex);
          acknowledged.insert(content);
          ++puts;
        }
      });
    }
    const int wanted = static_cast<int>(random() % 40);
    while (puts < wanted) std::this_thread::yield();
    store.process.kill_and_wait();
    for (std::thread& writer : writers) writer.join();

    StoreProcess again = start_store(root, key_file);
    const auto remote = connect(again.address, key, "");
    for (const std::string& content : tried) {
      const auto blob = remote->get_blob(sha256(content));
      ASSERT_TRUE(blob) << blob.error().message;
      EXPECT_TRUE(*blob || !acknowledged.contains(content)) << "acknowledged, then lost";
      if (*blob) {
        EXPECT_EQ(test::text_of((*blob)->get()), content);
      }
    }
    EXPECT_EQ(remote->stats().verify_failures, 0U);
    again.process.kill_and_wait();
    EXPECT_TRUE(posix_file_system().list(root + "/tmp.v1")->empty());
  }
  EXPECT_GT(acknowledged.size(), 100U);
  DiskStoreOptions options;
  options.root = root;
  const auto store = open_disk_store(posix_file_system(), options);
  ASSERT_TRUE(store);
  const auto pinned = (*store)->pins_of("job");
  for (const std::string& content : acknowledged) {
    EXPECT_TRUE(std::binary_search(pinned.begin(), pinned.end(), sha256(content))) << "its pin is gone";
  }
}

TEST(StoreServiceTest, RefusesToServeStrangersWithoutAKey) {
  const TempFolder folder;
  const auto refusal = [&](const std::string& host, bool open, const std::string& key) {
    StoreServiceOptions options;
    options.root = folder / "cache";
    options.listen = {host, 0};
    options.open = open;
    options.url_key_file = key;
    const auto service = StoreService::start(options);
    return service ? 0 : exit_code(service.error());
  };
  EXPECT_EQ(refusal("127.0.0.1", true, ""), 0);
  EXPECT_EQ(refusal("0.0.0.0", false, folder / "url_key"), 0);
  EXPECT_EQ(refusal("0.0.0.0", true, ""), 2);
  EXPECT_EQ(refusal("127.0.0.1", false, ""), 2);
  EXPECT_EQ(refusal("127.0.0.1", true, folder / "url_key"), 2);
}

TEST(StoreServiceTest, OperatorsSeeHealthReadinessStatusAndMetrics) {
  const TempFolder folder;
  StoreServiceOptions options;
  options.root = folder / "cache";
  options.url_key_file = folder / "url_key";
  options.version = "1.2.3";
  const auto service = std::move(*StoreService::start(options));
  net::HttpClient client({service->bound()});
  EXPECT_EQ(client.get("/healthz", 1000)->status, 200);
  EXPECT_EQ(client.get("/readyz", 1000)->status, 200);
  EXPECT_NE(client.get("/readyz", 1000)->body.find("\"unix_s\":1"), std::string::npos) << "for whoever signs with another clock";
  EXPECT_NE(client.get("/version", 1000)->body.find("1.2.3"), std::string::npos);
  EXPECT_NE(client.get("/status", 10'000)->body.find("\"used_bytes\":0"), std::string::npos);
  EXPECT_EQ(client.get("/cas/" + test::key_of("x").hex(), 1000).error().code, ErrorCode::kUnauthenticated);
  const auto metrics = client.get("/metrics", 100'000);
  ASSERT_TRUE(metrics);
  EXPECT_TRUE(metrics->header("content-type").starts_with("text/plain; version=0.0.4"));
  EXPECT_NE(metrics->body.find("\nkiln_store_used_bytes 0\n"), std::string::npos);
  EXPECT_NE(metrics->body.find("kiln_store_grants_refused_total{reason=\"missing\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics->body.find("# TYPE kiln_http_requests_total counter\n"), std::string::npos);
  EXPECT_EQ(client.send("PUT", "/healthz", "x").error().code, ErrorCode::kUnimplemented);
  service->stop(std::chrono::milliseconds(1000));
}

TEST(StoreServiceTest, FollowsAFileOfTrustedKeysThatComesLater) {
  const TempFolder folder;
  const UrlKey key = *UrlKey::load_or_create(posix_file_system(), folder / "url_key");
  const SigningKey worker = *SigningKey::generate();
  StoreServiceOptions options;
  options.root = folder / "cache";
  options.url_key_file = folder / "url_key";
  options.trusted_keys_file = folder / "trusted";
  const auto service = StoreService::start(options);
  ASSERT_TRUE(service) << service.error().message;
  const auto remote = connect((*service)->bound(), key, "worker", test::trusting(worker));
  const auto publish = [&](std::string_view name) {
    const Digest artifact = test::key_of(name);
    ArtifactManifest manifest = test::manifest_of(artifact, name);
    manifest.created_unix_s = std::time(nullptr);
    const auto done = remote->publish(artifact, sign_manifest(manifest, worker), test::sealed(name).get());
    return done ? std::string() : done.error().message;
  };
  EXPECT_NE(publish("nobody is trusted"), "");
  (*service)->follow_trusted_keys();  // still not there
  ASSERT_TRUE(write_file_atomic(folder / "trusted", test::trusting(worker).to_text()));
  EXPECT_NE(publish("nobody has looked"), "");
  (*service)->follow_trusted_keys();
  EXPECT_EQ(publish("the worker is trusted"), "");
  ASSERT_TRUE(write_file_atomic(folder / "trusted", "no list of keys\n"));
  (*service)->follow_trusted_keys();
  EXPECT_EQ(publish("the list before stays"), "");
}

}  // namespace
}  // namespace kiln::cache
