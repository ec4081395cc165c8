// Chunks of weights, what a lane is told of groups, and the library as torch's wheels bring it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "lane/core/weight_chunks.h"
#include "lane/gpu/communicator.h"
#include "lane/gpu/nccl_library.h"
#include "lane/gpu/weight_share.h"

namespace kiln::lane {
namespace {

using Sizes = std::vector<std::uint64_t>;

TEST(WeightChunksTest, SmallTensorsShareAChunkAndLargeOnesAreCut) {
  const auto chunks = plan_chunks(Sizes{4, 3, 10}, 8);
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0], (WeightChunk{{{0, 0, 4}, {1, 0, 3}, {2, 0, 1}}, 8}));
  EXPECT_EQ(chunks[1], (WeightChunk{{{2, 1, 8}}, 8}));
  EXPECT_EQ(chunks[2], (WeightChunk{{{2, 9, 1}}, 1}));
}

TEST(WeightChunksTest, EveryByteComesOnceInOrder) {
  for (const std::uint64_t chunk_bytes : {1U, 7U, 64U, 1000U}) {
    const Sizes sizes{0, 5, 64, 0, 1, 999, 128, 0};
    std::size_t tensor = 0;
    std::uint64_t offset = 0;
    for (const WeightChunk& chunk : plan_chunks(sizes, chunk_bytes)) {
      std::uint64_t bytes = 0;
      for (const WeightPiece& piece : chunk.pieces) {
        while (offset == sizes[tensor]) {
          ++tensor;
          offset = 0;
        }
        EXPECT_EQ(piece, (WeightPiece{tensor, offset, piece.bytes}));
        EXPECT_GT(piece.bytes, 0U);
        offset += piece.bytes;
        bytes += piece.bytes;
      }
      EXPECT_EQ(chunk.bytes, bytes);
      EXPECT_LE(bytes, chunk_bytes);
    }
    EXPECT_EQ(tensor, 6U);
    EXPECT_EQ(offset, sizes[tensor]);
  }
}

TEST(WeightChunksTest, TensorsInOneChunkAreBounded) {
  const auto chunks = plan_chunks(Sizes(kPiecesPerChunk + 1, 1), 1U << 20U);
  ASSERT_EQ(chunks.size(), 2U);
  EXPECT_EQ(chunks[0].pieces.size(), kPiecesPerChunk);
  EXPECT_TRUE(plan_chunks(Sizes{}, 8).empty());
}

TEST(ShareInboxTest, WordsOfOlderEpochsAreCountedAndDropped) {
  ShareInbox inbox;
  inbox.put_id(3, "three");
  EXPECT_EQ(inbox.id_of(3), "three");
  EXPECT_FALSE(inbox.id_of(4));
  inbox.put_id(2, "two");
  inbox.end(2, "late");
  EXPECT_EQ(inbox.late(), 2U);
  EXPECT_EQ(inbox.id_of(3), "three");
  EXPECT_FALSE(inbox.end_of(3));
  inbox.end(5, "");
  EXPECT_FALSE(inbox.id_of(3));
  EXPECT_EQ(inbox.end_of(5), "");
  EXPECT_TRUE(inbox.end_of(3));  // a newer one has taken its place
}

TEST(NcclLibraryTest, WhereThereIsNoneTheErrorSaysWhatBringsIt) {
  const auto library = NcclLibrary::open("/nowhere/libnccl.so.2");
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(library.error().message, ::testing::HasSubstr("it comes with torch's wheels, as nvidia-nccl"));
}

TEST(NcclLibraryTest, LibraryWithoutItsFunctionsIsRefused) {
  const auto library = NcclLibrary::open("libm.so.6");
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, ErrorCode::kUnimplemented);
}

// The one that lanes find beside torch: all functions are there, under the names and in the version that is expected.
TEST(NcclLibraryTest, ThatOfTorchsWheelsIsTaken) {
  const char* python = std::getenv("KILN_PYTHON");
  const auto venv = std::filesystem::path(python == nullptr ? "" : python).parent_path().parent_path();
  std::string path;
  if (std::filesystem::exists(venv / "lib")) {
    for (const auto& version : std::filesystem::directory_iterator(venv / "lib")) {
      const auto found = version.path() / "site-packages/nvidia/nccl/lib/libnccl.so.2";
      if (std::filesystem::exists(found)) path = found;
    }
  }
  if (path.empty()) GTEST_SKIP() << "torch came without nvidia-nccl";
  const auto library = NcclLibrary::open(path);
  ASSERT_TRUE(library) << library.error().message;
  EXPECT_THAT((*library)->version(), ::testing::StartsWith("2."));
  ::setenv("NCCL_SOCKET_IFNAME", "lo", 0);  // as lanes are started
  const auto id = Communicator::make_id(**library);
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(id->size(), kNcclIdBytes);
}

}  // namespace
}  // namespace kiln::lane
