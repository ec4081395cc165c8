// The store's routes and its client, over a real socket.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cache_store/artifact_frame.h"
#include "cache_store/disk_store.h"
#include "cache_store/http_routes.h"
#include "cache_store/remote_store.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;
using test::bytes_of;
using test::envelope_of;
using test::key_of;
using test::sealed;
using test::text_of;

std::string big_content(std::size_t bytes) {
  std::string content(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(i * 2654435761U >> 13U);
  return content;
}

class HttpStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }
  void start() {
    DiskStoreOptions disk;
    disk.root = folder / "cache";
    disk.trusted = test::trusting(signer);
    disk.budget_bytes = 64U << 20U;
    disk.evicts = true;
    disk.now_unix_s = [this] { return now.load(); };
    store = std::move(*open_disk_store(posix_file_system(), disk));
    StoreRoutesOptions routing;
    routing.url_key = url_key;
    routing.now_unix_s = disk.now_unix_s;
    routes = std::make_unique<StoreRoutes>(*store, routing);
    net::HttpServerOptions http;
    http.listen = {"127.0.0.1", 0};
    server = std::move(*net::HttpServer::start(
        http, [this](const net::HttpRequest& request) { return routes->handle(request); }));
    remote = connect("job");
    raw = std::make_unique<net::HttpClient>(net::HttpClientOptions{server->bound()});
  }
  RemoteStoreOptions remote_options(const std::string& owner) {
    RemoteStoreOptions options;
    options.client.server = server->bound();
    options.trusted = test::trusting(signer);
    options.now_unix_s = [this] { return now.load(); };
    options.grants = [this, owner](std::string_view method, std::string_view path, std::uint64_t bytes) {
      return url_key.sign({std::string(method), std::string(path), owner, bytes, now + 60});
    };
    return options;
  }
  std::unique_ptr<RemoteStore> connect(const std::string& owner) { return open_remote_store(remote_options(owner)); }
  std::string url(const std::string& method, const std::string& path, std::uint64_t bytes = 0,
                  const std::string& more = "") {
    return path + "?" + *url_key.sign({method, path, "job", bytes, now + 60}) + (more.empty() ? "" : "&" + more);
  }
  Result<net::HttpAnswer> put_artifact(const Digest& key, const std::string& content, const std::string& more = "") {
    const std::string body = artifact_frame_head(envelope_of(key, content, signer)) + content;
    return raw->send("PUT", url("PUT", "/artifact/" + key.hex(), body.size(), more), body);
  }
  std::string blob_path(std::string_view content) {
    const std::string hex = sha256(content).hex();
    return folder / ("cache/cas.v1/" + hex.substr(0, 2) + "/" + hex);
  }

  const TempFolder folder;
  const SigningKey signer = *SigningKey::generate();
  const UrlKey url_key = UrlKey::generate();
  std::atomic<std::int64_t> now{test::kNow};
  std::unique_ptr<LocalStore> store;
  std::unique_ptr<StoreRoutes> routes;
  std::unique_ptr<net::HttpServer> server;
  std::unique_ptr<RemoteStore> remote;
  std::unique_ptr<net::HttpClient> raw;
};

TEST_F(HttpStoreTest, ArtifactsArePublishedFoundAndVerifiedOnBothSides) {
  const Digest key = key_of("k");
  EXPECT_FALSE(*remote->find(key));
  const auto stored = remote->publish(key, envelope_of(key, "library", signer), sealed("library").get());
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(*stored, PublishOutcome::kStored);
  EXPECT_EQ(*remote->publish(key, envelope_of(key, "another build", signer), sealed("another build").get()),
            PublishOutcome::kAlreadyThere);
  const auto found = remote->find(key);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ(text_of((*found)->content.get()), "library");
  EXPECT_TRUE(require_sealed((*found)->content.get()));
  EXPECT_EQ(store->pins_of("job").size(), 1U) << "the job's own";
  EXPECT_EQ(remote->stats().hits, 1U);
  EXPECT_EQ(remote->stats().misses, 1U);
}

TEST_F(HttpStoreTest, AClientThatDoesNotTrustTheSignerMisses) {
  const Digest key = key_of("k");
  ASSERT_TRUE(remote->publish(key, envelope_of(key, "library", signer), sealed("library").get()));
  RemoteStoreOptions options = remote_options("job");
  options.trusted = test::trusting(*SigningKey::generate());
  std::vector<std::string> events;
  options.on_event = [&](const StoreEvent& event) { events.push_back(event.what); };
  const auto stranger = open_remote_store(std::move(options));
  EXPECT_FALSE(*stranger->find(key));
  EXPECT_EQ(events, (std::vector<std::string>{"signer_unknown"}));
  EXPECT_EQ(stranger->stats().signature_failures, 1U);
}

TEST_F(HttpStoreTest, WhatDoesNotVerifyIsNotPublished) {
  const SigningKey stranger = *SigningKey::generate();
  const Digest key = key_of("k");
  const std::string frames[] = {artifact_frame_head(envelope_of(key, "library", stranger)) + "library",
                                artifact_frame_head(envelope_of(key, "library", signer)) + "lybrary",
                                artifact_frame_head(envelope_of(key_of("other"), "library", signer)) + "library",
                                artifact_frame_head("{}") + "library", artifact_frame_head(""), "kilnart1", "garbage",
                                ""};
  for (const std::string& frame : frames) {
    const auto answer = raw->send("PUT", url("PUT", "/artifact/" + key.hex(), frame.size()), frame);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kDataLoss) << answer.error().message;
  }
  EXPECT_FALSE(*remote->find(key));
  EXPECT_EQ(store->stats().blobs, 0U);
}

TEST_F(HttpStoreTest, FilesGoInOnceAndComeOutWholeInPartsAndByUrl) {
  const std::string content = big_content(9'000'001);
  const auto digest = remote->put_file(sealed(content).get());
  ASSERT_TRUE(digest) << digest.error().message;
  EXPECT_EQ(*digest, sha256(content));
  const std::uint64_t received = server->stats().bytes_in;
  ASSERT_TRUE(remote->put_file(sealed(content).get()));
  EXPECT_EQ(server->stats().bytes_in, received) << "a known blob is not sent again";
  ASSERT_TRUE(remote->get_file_to(*digest, folder / "copy"));
  EXPECT_EQ(*read_file(folder / "copy", content.size()), content);
  EXPECT_EQ(*remote->get_range(*digest, 1'000'000, 777), content.substr(1'000'000, 777));
  EXPECT_EQ(*remote->blob_bytes(*digest), content.size());
  EXPECT_TRUE(remote->blob_url(*digest)->starts_with("http://127.0.0.1:"));
  EXPECT_EQ(remote->blob_bytes(key_of("x")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(remote->get_file_to(key_of("x"), folder / "none").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(*remote->get_blob(key_of("x")));
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

TEST_F(HttpStoreTest, WrongBytesAreRefusedAndNothingIsKept) {
  const Digest digest = key_of("something else");
  const auto put = raw->send("PUT", url("PUT", "/cas/" + digest.hex(), 5), "bytes");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(store->stats().blobs, 0U);
  EXPECT_EQ(store->stats().uploads_refused, 1U);
  EXPECT_TRUE(posix_file_system().list(folder / "cache/tmp.v1")->empty());
}

TEST_F(HttpStoreTest, DamageThatTheStoreDoesNotSeeIsSeenByTheClientAndPutAway) {
  const std::string content = big_content(100'000);
  ASSERT_TRUE(remote->put_file(sealed(content).get()));
  ASSERT_TRUE(store->open_blob(sha256(content), false));
  // As rot would: the bytes change, name, size and time stay.
  const std::string path = blob_path(content);
  const auto time = std::filesystem::last_write_time(path);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(50'000).put('!');
  std::filesystem::last_write_time(path, time);
  const auto got = remote->get_file_to(sha256(content), folder / "copy");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kNotFound) << got.error().message;
  EXPECT_EQ(store->stats().quarantined, 1U);
  ASSERT_TRUE(remote->put_file(sealed(content).get()));
  EXPECT_TRUE(remote->get_file_to(sha256(content), folder / "copy"));
}

TEST_F(HttpStoreTest, EveryDoorIsShutWithoutAGrant) {
  const std::string hex = key_of("x").hex();
  for (const std::string method : {"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"}) {
    for (const std::string& path : {"/cas/" + hex, "/artifact/" + hex, "/lease/" + hex, std::string("/pins/job"),
                                    std::string("/"), std::string("/unknown"), "/cas/../cas/" + hex}) {
      const auto answer = raw->send(method, path, "");
      ASSERT_FALSE(answer) << method << " " << path;
      EXPECT_EQ(answer.error().code, ErrorCode::kUnauthenticated) << method << " " << path;
    }
  }
  EXPECT_EQ(store->stats().blobs, 0U);
}

TEST_F(HttpStoreTest, AGrantIsForItsMethodPathSizeAndTime) {
  const std::string hex = sha256(std::string_view("bytes")).hex();
  EXPECT_EQ(raw->send("PUT", url("PUT", "/cas/" + hex, 4), "bytes").error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(raw->send("PUT", url("GET", "/cas/" + hex, 5), "bytes").error().code, ErrorCode::kPermissionDenied);
  const std::string good = url("PUT", "/cas/" + hex, 5);
  now += 1000;
  EXPECT_EQ(raw->send("PUT", good, "bytes").error().code, ErrorCode::kPermissionDenied);
  now -= 1000;
  EXPECT_EQ(raw->send("PUT", good, "bytes")->status, 201);
  EXPECT_EQ(raw->head(url("GET", "/cas/" + hex))->content_bytes, 5U) << "a grant to read lets ask";
}

TEST_F(HttpStoreTest, NamesThatAreNoneAreRefused) {
  for (const std::string& path : {std::string("/cas/"), std::string("/cas/ABC"), "/cas/" + key_of("x").hex() + "0",
                                  std::string("/pins/a@b"), std::string("/pins/..")}) {
    const auto answer = raw->get(url("GET", path), 1000);
    ASSERT_FALSE(answer) << path;
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument) << path;
  }
  EXPECT_EQ(raw->send("POST", url("POST", "/cas/" + key_of("x").hex()), "").error().code, ErrorCode::kUnimplemented);
}

TEST_F(HttpStoreTest, PinsOverHttp) {
  ASSERT_TRUE(connect("")->put_blob(bytes_of("free")));
  const std::string list =
      R"({"digests":[")" + sha256(std::string_view("free")).hex() + R"(",")" + key_of("gone").hex() + R"("]})";
  const auto pinned = raw->send("PUT", url("PUT", "/pins/job", list.size()), list);
  ASSERT_TRUE(pinned) << pinned.error().message;
  EXPECT_EQ(pinned->body, R"({"missing":[")" + key_of("gone").hex() + R"("],"pinned":1})" "\n");
  EXPECT_NE(raw->get(url("GET", "/pins/job"), 10'000)->body.find(sha256(std::string_view("free")).hex()),
            std::string::npos);
  for (const std::string& bad : {std::string("{}"), std::string("["), std::string(R"({"digests":[1]})"),
                                 std::string(R"({"digests":["abc"]})"), std::string("")}) {
    EXPECT_EQ(raw->send("PUT", url("PUT", "/pins/job", 100), bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(raw->remove(url("DELETE", "/pins/job"))->body, "{\"unpinned\":1}\n");
  EXPECT_TRUE(store->pins_of("job").empty());
}

TEST_F(HttpStoreTest, WhatAnOwnerPinsBesideThoseThatItNamesGoesWhenItSaysSo) {
  const auto hex = [](std::string_view content) { return sha256(content).hex(); };
  for (const char* content : {"segment 1", "segment 2", "result"}) ASSERT_TRUE(remote->put_blob(bytes_of(content)));
  ASSERT_TRUE(connect("other")->put_blob(bytes_of("segment 2")));
  EXPECT_EQ(store->pins_of("job").size(), 3U);
  const auto put = [&](const std::string& more) {
    const std::string list = R"({"digests":[")" + hex("result") + R"("])" + more + "}";
    const auto answer = raw->send("PUT", url("PUT", "/pins/job", list.size()), list);
    return answer ? answer->body : answer.error().message;
  };
  EXPECT_EQ(put(""), R"({"missing":[],"pinned":1})" "\n");
  EXPECT_EQ(put(R"(,"only":false)"), R"({"missing":[],"pinned":1})" "\n");
  EXPECT_EQ(store->pins_of("job").size(), 3U) << "it adds to them";
  EXPECT_EQ(put(R"(,"only":true)"), R"({"missing":[],"pinned":1,"unpinned":2})" "\n");
  EXPECT_EQ(put(R"(,"only":true)"), R"({"missing":[],"pinned":1,"unpinned":0})" "\n");
  EXPECT_NE(put(R"(,"only":7)").find("only"), std::string::npos);
  EXPECT_EQ(store->pins_of("job"), std::vector<Digest>{sha256(std::string_view("result"))});
  EXPECT_EQ(store->pins_of("other"), std::vector<Digest>{sha256(std::string_view("segment 2"))});
  EXPECT_EQ(store->stats().blobs, 3U) << "nothing goes before its room is needed";
}

TEST_F(HttpStoreTest, ArtifactsArePinnedByTheirKeys) {
  const Digest key = key_of("graph");
  ASSERT_TRUE(connect("")->publish(key, envelope_of(key, "library", signer), sealed("library").get()));
  const std::string list = R"({"digests":[],"artifacts":[")" + key.hex() + R"(",")" + key_of("gone").hex() + R"("]})";
  const auto pinned = raw->send("PUT", url("PUT", "/pins/job", list.size()), list);
  ASSERT_TRUE(pinned) << pinned.error().message;
  EXPECT_EQ(pinned->body, R"({"missing":[")" + key_of("gone").hex() + R"("],"pinned":1})" "\n");
  EXPECT_EQ(store->pins_of("job"), std::vector<Digest>{sha256(std::string_view("library"))});
  for (const char* bad : {R"({"artifacts":[]})", R"({"digests":[],"artifacts":7})", R"({"digests":[],"artifacts":["abc"]})"}) {
    EXPECT_EQ(raw->send("PUT", url("PUT", "/pins/job", 100), bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
}

TEST_F(HttpStoreTest, ALowerAttemptNeitherLeasesNorPublishes) {
  const Digest key = key_of("k");
  const std::string path = "/lease/" + key.hex();
  ASSERT_TRUE(raw->send("PUT", url("PUT", path, 0, "task=7&attempt=1"), ""));
  ASSERT_TRUE(raw->send("PUT", url("PUT", path, 0, "task=7&attempt=2&seconds=30"), "")) << "gives way at once";
  EXPECT_EQ(raw->send("PUT", url("PUT", path, 0, "task=7&attempt=1"), "").error().code, ErrorCode::kAborted);
  EXPECT_EQ(raw->send("PUT", url("PUT", path, 0, "task=8&attempt=9"), "").error().code, ErrorCode::kAborted);
  EXPECT_EQ(put_artifact(key, "late", "task=7&attempt=1").error().code, ErrorCode::kAborted);
  EXPECT_FALSE(*store->find(key));
  EXPECT_EQ(put_artifact(key, "right", "task=7&attempt=2")->status, 201);
  EXPECT_EQ(raw->get(url("GET", path), 1000)->body,
            fmt::format("{{\"attempt\":2,\"expires_unix_s\":{},\"task\":7}}\n", test::kNow + 30));
  now += 31;
  EXPECT_TRUE(raw->send("PUT", url("PUT", path, 0, "task=8&attempt=1"), "")) << "expired";
  EXPECT_EQ(raw->send("PUT", url("PUT", path), "").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(raw->send("PUT", url("PUT", path, 0, "task=x&attempt=1"), "").error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(raw->remove(url("DELETE", path, 0, "task=8&attempt=1")));
  EXPECT_TRUE(raw->send("PUT", url("PUT", path, 0, "task=9&attempt=1"), "")) << "given back";
}

TEST_F(HttpStoreTest, ManyClientsStayWithinTheBudgetAndGetTheirOwnBytes) {
  std::atomic<int> stored{0}, full{0}, wrong{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 6; ++t) {
    clients.emplace_back([&, t] {
      const auto mine = connect(fmt::format("job-{}", t));
      for (int i = 0; i < 12; ++i) {
        const std::string content = fmt::format("{}/{}", t, i) + big_content(1U << 20U);
        const auto digest = mine->put_blob(bytes_of(content));
        if (digest) {
          ++stored;
          const auto back = mine->get_blob(*digest);
          if (!back || !*back || text_of((*back)->get()) != content) ++wrong;
        } else {
          EXPECT_EQ(digest.error().code, ErrorCode::kResourceExhausted) << digest.error().message;
          ++full;
        }
        const StoreStats stats = store->stats();
        EXPECT_LE(stats.used_bytes + stats.reserved_bytes, 64U << 20U);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(stored, 60);
  EXPECT_GE(full, 6) << "72 MiB do not fit";
  EXPECT_EQ(store->stats().evictions, 0U) << "all of them are pinned";
}

TEST_F(HttpStoreTest, AStoreThatIsGoneIsAnErrorAndNoMiss) {
  server->stop(std::chrono::milliseconds(0));
  const auto found = remote->find(key_of("k"));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace kiln::cache
