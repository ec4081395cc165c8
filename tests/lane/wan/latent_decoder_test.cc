// The VAE's decoder, frame by frame, against AutoencoderKLWan: the whole, and in tiles.
#include "lane/pipelines/latent_decoder.h"

#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/lane/wan/wan_golden.h"

namespace kiln::lane {
namespace {

constexpr auto kFloat32 = sharding::GraphDtype::kFloat32;

DecodeTiles golden_tiles() { return {wan_golden().cases["tiles"]["size"], wan_golden().cases["tiles"]["stride"]}; }

// A clip's last latents as diffusers has them, so that what is compared is the decoder alone.
struct Decoding {
  explicit Decoding(const nlohmann::json& one_) : one(one_), package(open_package(package_folder(one_))) {
    auto created = LatentDecoder::create(package, kFloat32, wan_device());
    EXPECT_TRUE(created) << created.error().message;
    decoder.emplace(std::move(*created));
    const at::Tensor all = wan_tensor(one, "latents");
    latents = all.narrow(0, all.size(0) - 1, 1);
  }
  std::vector<at::Tensor> frames(const std::optional<DecodeTiles>& tiles) const {
    std::vector<at::Tensor> found;
    const Status status = decoder->decode(latents, tiles, [&](const at::Tensor& some) -> Status {
      found.push_back(some);
      return {};
    });
    EXPECT_TRUE(status) << status.error().message;
    return found;
  }

  const nlohmann::json& one;
  GeneratorPackage package;
  std::optional<LatentDecoder> decoder;
  at::Tensor latents;
};

TEST(LatentDecoderTest, EveryFrameIsThatOfTheWholeDecoder) {
  for (const auto& one : wan_golden().cases["clips"]) {
    const auto frames = Decoding(one).frames(std::nullopt);
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].size(2), 1);
    EXPECT_EQ(frames[1].size(2), 4);
    expect_same(relative_error(as_pictures(frames), wan_tensor(one, "whole")), name_of(one));
  }
}

TEST(LatentDecoderTest, EveryFrameInTilesIsThatOfDiffusersTiles) {
  for (const auto& one : wan_golden().cases["clips"]) {
    const auto frames = Decoding(one).frames(golden_tiles());
    expect_same(relative_error(as_pictures(frames), wan_tensor(one, "tiled")), name_of(one));
    expect_mistake(relative_error(as_pictures(frames), wan_tensor(one, "whole")), name_of(one));
  }
}

TEST(LatentDecoderTest, ClipsThatFitIntoOneTileAreDecodedWhole) {
  const Decoding decoding(wan_golden().cases["clips"][0]);
  EXPECT_TRUE(as_pictures(decoding.frames(DecodeTiles{})).equal(as_pictures(decoding.frames(std::nullopt))));
}

// Of the frames with the `dropped`-th cache emptied before the last latent frame.
double error_without_cache(const Decoding& decoding, std::optional<std::size_t> dropped) {
  const at::Tensor ready = decoding.decoder->denormalised(decoding.latents);
  std::vector<at::Tensor> caches, frames;
  for (std::int64_t i = 0; i < ready.size(2); ++i) {
    if (dropped && i + 1 == ready.size(2)) caches.at(*dropped) = at::zeros_like(caches.at(*dropped));
    frames.push_back(decoding.decoder->step(ready.narrow(2, i, 1), caches).value().clamp(-1, 1));
  }
  return relative_error(as_pictures(frames), wan_tensor(decoding.one, "whole"));
}

TEST(LatentDecoderTest, EachCacheThatIsDroppedIsSeen) {
  const Decoding decoding(wan_golden().cases["clips"][0]);
  expect_same(error_without_cache(decoding, std::nullopt));
  const std::size_t caches = decoding.package.manifest().find_component("decoder_next")->inputs.size() - 1;
  ASSERT_GT(caches, 10U);
  for (std::size_t i = 0; i < caches; ++i) expect_mistake(error_without_cache(decoding, i), std::to_string(i));
}

TEST(LatentDecoderTest, ASinkThatFailsAndAStopEndIt) {
  const Decoding decoding(wan_golden().cases["clips"][0]);
  int calls = 0;
  const auto failing = [&](const at::Tensor&) -> Status {
    ++calls;
    return fail(make_error(ErrorCode::kUnavailable, "the encoder has gone"));
  };
  Status status = decoding.decoder->decode(decoding.latents, std::nullopt, failing);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "the encoder has gone");
  EXPECT_EQ(calls, 1);
  status = decoding.decoder->decode(decoding.latents, golden_tiles(), failing, [] { return true; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(calls, 1);
}

TEST(LatentDecoderTest, LatentsThatAreNoNumbersAreAnErrorWithTheirPlace) {
  Decoding decoding(wan_golden().cases["clips"][0]);
  decoding.latents = decoding.latents.clone();
  decoding.latents.narrow(2, 1, 1).fill_(NAN);
  const Status status = decoding.decoder->decode(decoding.latents, std::nullopt, [](const at::Tensor&) { return Status(); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "latent frame 2 of 3: its frames are no numbers (NaN or infinite)");
}

}  // namespace
}  // namespace kiln::lane
