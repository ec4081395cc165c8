// What a worker keeps in memory of packages and artifacts, and what is counted when something has to give way.
#include "worker/task_files.h"

#include "base/fd.h"
#include "cache_store/remote_store.h"
#include "tests/cache_store/artifact_builder.h"
#include "tests/worker/farm/fake_farm.h"

namespace kiln::worker {
namespace {

class TaskFilesTest : public FarmWorkerTest {
 protected:
  void SetUp() override {
    store_.trust(signer_.public_key().hex());
    FarmWorkerTest::SetUp();
    net::Welcome welcome;
    welcome.store_url = store_.url();
    welcome.trusted_keys = trusting(signer_);
    ASSERT_TRUE(access_.use(welcome));
    auto cache = BlobCache::open(folder_ / "blobs", 1ULL << 30U);
    ASSERT_TRUE(cache) << cache.error().message;
    cache_ = std::move(*cache);
    fetcher_ = std::make_unique<TaskFileFetcher>(access_, *cache_, CompileIdentities{});
  }
  static std::string trusting(const cache::SigningKey& key) { return cache::test::trusting(key).to_text(); }

  // The fixture's package under another name: its manifest has one line more.
  net::Assign probe_with_package(int number) {
    net::Assign out;
    source_.in_place = true;
    source_.path = "/nowhere/clip.mkv";
    out.spec = net::ProbeSpec{source_, output_, {}, {}};
    out.package = package_;
    const auto manifest = read_file(package_folder_ + "/manifest.toml", 4U << 20U);
    EXPECT_TRUE(manifest);
    out.package.files[0].blob = store_.put(fmt::format("# {}\n{}", number, *manifest));
    return out;
  }
  std::string publish_artifact(int number) {
    const std::string name = std::to_string(number);
    const Digest key = cache::test::key_of(name);
    const auto store = access_.artifacts();
    EXPECT_TRUE(store);
    EXPECT_TRUE((*store)->publish(key, cache::test::envelope_of(key, name, signer_), cache::test::sealed(name).get()));
    return key.hex();
  }

  const cache::SigningKey signer_ = *cache::SigningKey::generate();
  StoreAccess access_;
  std::unique_ptr<BlobCache> cache_;
  std::unique_ptr<TaskFileFetcher> fetcher_;
};

TEST_F(TaskFilesTest, PackagesBeyondThoseThatStayOpenGiveWayAndAreCounted) {
  for (std::size_t i = 0; i < kPackagesKept; ++i) ASSERT_TRUE(fetcher_->fetch(probe_with_package(static_cast<int>(i))));
  ASSERT_TRUE(fetcher_->fetch(probe_with_package(0)));
  EXPECT_EQ(fetcher_->packages_let_go(), 0U);
  ASSERT_TRUE(fetcher_->fetch(probe_with_package(kPackagesKept)));
  EXPECT_EQ(fetcher_->packages_let_go(), 1U);
  ASSERT_TRUE(fetcher_->fetch(probe_with_package(0)));  // it was used later than 1
  EXPECT_EQ(fetcher_->packages_let_go(), 1U);
}

TEST_F(TaskFilesTest, ArtifactsBeyondThoseThatStayInMemoryGiveWayAndAreCounted) {
  for (std::size_t i = 0; i <= kArtifactsKept; ++i) {
    EXPECT_EQ(fetcher_->artifacts_let_go(), 0U);
    const auto artifact = fetcher_->fetch_artifact(publish_artifact(static_cast<int>(i)));
    ASSERT_TRUE(artifact) << artifact.error().message;
    ASSERT_NE(*artifact, nullptr);
  }
  EXPECT_EQ(fetcher_->artifacts_let_go(), 1U);
}

}  // namespace
}  // namespace kiln::worker
