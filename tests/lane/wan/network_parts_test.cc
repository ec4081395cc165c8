// The text encoder and the transformer, part by part, against transformers' and diffusers' own modules.
#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "lane/pipelines/flow_transformer.h"
#include "tests/lane/wan/wan_golden.h"

namespace kiln::lane {
namespace {

constexpr auto kFloat32 = sharding::GraphDtype::kFloat32;

double text_error(const nlohmann::json& one, int tokens_more) {
  const GeneratorPackage package = open_package(package_folder(one));
  auto tokens = tokens_of(package, one["prompt"], one["tokens"]);
  tokens.used += tokens_more;
  const auto encoder = PromptEncoder::create(package, kFloat32, wan_device());
  EXPECT_TRUE(encoder) << encoder.error().message;
  const auto states = encoder->encode(std::vector{tokens});
  EXPECT_TRUE(states) << states.error().message;
  return relative_error(*states, wan_tensor(one, "states"));
}

TEST(WanTextTest, StatesAreThoseOfTheWholeEncoderAndZeroBehindTheLastToken) {
  ASSERT_EQ(wan_golden().cases["texts"].size(), 8U);
  for (const auto& one : wan_golden().cases["texts"]) expect_same(text_error(one, 0), name_of(one));
}

TEST(WanTextTest, OneTokenMoreIsSeen) {
  for (const auto& one : wan_golden().cases["texts"]) {
    const GeneratorPackage package = open_package(package_folder(one));
    if (tokens_of(package, one["prompt"], one["tokens"]).used == one["tokens"]) continue;
    expect_mistake(text_error(one, 1), name_of(one));
  }
}

TEST(WanTextTest, PromptsGoThroughTogetherAsTheyDoAlone) {
  const auto& one = wan_golden().cases["texts"][0];
  const auto& other = wan_golden().cases["texts"][2];
  const GeneratorPackage package = open_package(package_folder(one));
  const auto encoder = PromptEncoder::create(package, kFloat32, wan_device());
  ASSERT_TRUE(encoder) << encoder.error().message;
  const auto states = encoder->encode(std::vector{tokens_of(package, one["prompt"], one["tokens"]),
                                                  tokens_of(package, other["prompt"], other["tokens"])});
  ASSERT_TRUE(states) << states.error().message;
  const at::Tensor expected = at::cat({wan_tensor(one, "states"), wan_tensor(other, "states")});
  expect_same(relative_error(*states, expected));
}

TEST(WanTextTest, ATokenThatTheEncoderDoesNotKnowIsRefused) {
  const GeneratorPackage package = open_package(package_folder(wan_golden().cases["texts"][0]));
  const auto encoder = PromptEncoder::create(package, kFloat32, wan_device());
  ASSERT_TRUE(encoder);
  const auto states = encoder->encode(std::vector{PromptTokens{{5, 96, 1}, 3, 0}});
  ASSERT_FALSE(states);
  EXPECT_EQ(states.error().message, "the tokenizer gives token 96, the model's text encoder knows 96");
}

// One case's transformer, loaded, and what goes into it.
struct Loaded {
  explicit Loaded(const nlohmann::json& one_)
      : one(one_), package(open_package(package_folder(one_))), timestep(one_["timestep"]),
        latents(wan_tensor(one_, "latents")), text(wan_tensor(one_, "text")) {
    auto created = FlowTransformer::create(package, kFloat32, wan_device());
    EXPECT_TRUE(created) << created.error().message;
    transformer.emplace(std::move(*created));
    const Status status = transformer->load_expert(one["weights"].get<std::string>());
    EXPECT_TRUE(status) << status.error().message;
  }
  [[nodiscard]] TransformerState stem() const { return transformer->stem(latents, timestep, text).value(); }
  // Of what comes out, with blocks and head run on `state`.
  [[nodiscard]] double error_from(TransformerState state) const {
    for (std::int64_t i = 0; i < transformer->block_count(); ++i) EXPECT_TRUE(transformer->block(i, state));
    return relative_error(transformer->head(state, latents).value(), wan_tensor(one, "said"));
  }

  const nlohmann::json& one;
  GeneratorPackage package;
  float timestep;
  at::Tensor latents;
  at::Tensor text;
  std::optional<FlowTransformer> transformer;
};

TEST(WanTransformerTest, StemEveryBlockAndHeadAreThoseOfTheWhole) {
  ASSERT_EQ(wan_golden().cases["transformers"].size(), 3U);
  for (const auto& one : wan_golden().cases["transformers"]) {
    const Loaded loaded(one);
    TransformerState state = loaded.stem();
    const std::vector<std::pair<std::string, at::Tensor>> found = {
        {"hidden", state.hidden}, {"states", state.text}, {"modulation", state.modulation},
        {"cosines", state.cosines}, {"sines", state.sines}};
    for (const auto& [name, tensor] : found) {
      expect_same(relative_error(tensor, wan_tensor(one, name)), name_of(one) + " " + name);
    }
    ASSERT_EQ(loaded.transformer->block_count(), 2);
    for (std::int64_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(loaded.transformer->block(i, state));
      const std::string name = "block-" + std::to_string(i);
      expect_same(relative_error(state.hidden, wan_tensor(one, name)), name_of(one) + " " + name);
    }
    const auto said = loaded.transformer->head(state, loaded.latents);
    ASSERT_TRUE(said) << said.error().message;
    expect_same(relative_error(*said, wan_tensor(one, "said")), name_of(one));
    const auto predicted = loaded.transformer->predict(loaded.latents, loaded.timestep, loaded.text);
    ASSERT_TRUE(predicted);
    EXPECT_TRUE(predicted->equal(*said));
  }
}

TEST(WanTransformerTest, PositionsThatAreOffAreSeen) {
  for (const auto& one : wan_golden().cases["transformers"]) {
    const Loaded loaded(one);
    TransformerState state = loaded.stem();
    state.cosines = at::ones_like(state.cosines);
    state.sines = at::zeros_like(state.sines);
    expect_mistake(loaded.error_from(state), name_of(one));
  }
}

TEST(WanTransformerTest, SwappedGatesAreSeen) {
  for (const auto& one : wan_golden().cases["transformers"]) {
    const Loaded loaded(one);
    TransformerState state = loaded.stem();
    const auto rows = state.modulation.unbind(1);  // shift, scale and gate of attention, and of the feed-forward
    state.modulation = at::stack({rows[0], rows[1], rows[5], rows[3], rows[4], rows[2]}, 1);
    expect_mistake(loaded.error_from(state), name_of(one));
  }
}

TEST(WanTransformerTest, TheOtherExpertIsSeen) {
  const auto& one = wan_golden().cases["transformers"][1];
  Loaded loaded(one);
  expect_same(loaded.error_from(loaded.stem()));
  ASSERT_TRUE(loaded.transformer->load_expert("transformer_2"));
  expect_mistake(loaded.error_from(loaded.stem()));
}

TEST(WanTransformerTest, WithoutWeightsItSaysSo) {
  const auto& one = wan_golden().cases["transformers"][0];
  const GeneratorPackage package = open_package(package_folder(one));
  auto transformer = FlowTransformer::create(package, kFloat32, wan_device());
  ASSERT_TRUE(transformer);
  EXPECT_FALSE(transformer->predict(wan_tensor(one, "latents"), 1, wan_tensor(one, "text")));
  const Status loaded = transformer->load_expert("transformer_3");
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("has no weights 'transformer_3'"), std::string::npos);
}

}  // namespace
}  // namespace kiln::lane
