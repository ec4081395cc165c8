#include "sharding/compile_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace kiln::sharding {
namespace {

CompileKeyInputs typical() {
  CompileKeyInputs inputs;
  inputs.graph_sha256 = std::string(64, 'a');
  inputs.bucket.inputs = {dense_tensor({1, 3, 180, 320}, "float32", true),
                          dense_tensor({64, 3, 3, 3}, "float32", true), dense_tensor({64}, "float32", false)};
  inputs.target.isa = IsaLevel::kAvx2;
  inputs.toolchain = {"2.11.0+cu130", "70d99e99", "", "", "g++ (Debian 12.2.0-14) 12.2.0", "glibc 2.36", "ab"};
  return inputs;
}

struct Change {
  std::string name;
  std::function<void(CompileKeyInputs&)> apply;
  bool in_key;
};

void expect_table(const std::vector<Change>& table) {
  const CompileKey base = make_compile_key(typical());
  for (const Change& change : table) {
    CompileKeyInputs inputs = typical();
    change.apply(inputs);
    const CompileKey changed = make_compile_key(inputs);
    EXPECT_EQ(changed.digest != base.digest, change.in_key) << change.name;
    const auto differences = explain_difference(base, changed);
    EXPECT_EQ(differences.size(), change.in_key ? 1U : 0U) << change.name << ": " << describe(differences);
    if (change.in_key && differences.size() == 1) {
      EXPECT_NE(differences[0].field.find(change.name), std::string::npos) << differences[0].field;
    }
  }
}

TEST(CompileKeyTest, EachOfTheNineSettingsIsInTheKeyOrNot) {
  using Inputs = CompileKeyInputs;
  const std::vector<Change> table{
      {"backend", [](Inputs& i) { i.settings.backend = CompileBackend::kCudagraphs; }, true},
      {"mode", [](Inputs& i) { i.settings.mode = CompileMode::kMaxAutotune; }, true},
      {"dynamic", [](Inputs& i) { i.settings.dynamic = true; }, true},
      {"compile_transformer_blocks_only", [](Inputs& i) { i.settings.compile_transformer_blocks_only = false; }, true},
      {"fullgraph", [](Inputs& i) { i.settings.fullgraph = true; }, false},
      {"dynamo_cache_size_limit", [](Inputs& i) { i.settings.dynamo_cache_size_limit = 1; }, false},
      {"dynamo_recompile_limit", [](Inputs& i) { i.settings.dynamo_recompile_limit = 1; }, false},
      {"force_parameter_static_shapes", [](Inputs& i) { i.settings.force_parameter_static_shapes = true; }, false},
      {"allow_unmerged_lora_compile", [](Inputs& i) { i.settings.allow_unmerged_lora_compile = true; }, false},
  };
  expect_table(table);
}

TEST(CompileKeyTest, EverythingElseThatShapesCodeIsInTheKey) {
  using Inputs = CompileKeyInputs;
  const std::vector<Change> table{
      {"graph_sha256", [](Inputs& i) { i.graph_sha256[0] = 'b'; }, true},
      {"component", [](Inputs& i) { i.component = "block"; }, true},
      {"input.0", [](Inputs& i) { i.bucket.inputs[0] = dense_tensor({1, 3, 180, 321}, "float32", true); }, true},
      {"input.0", [](Inputs& i) { i.bucket.inputs[0].shape[2] = {16, 180}; }, true},
      {"input.1", [](Inputs& i) { i.bucket.inputs[1] = dense_tensor({64, 3, 3, 3}, "float32", false); }, true},
      {"input.2", [](Inputs& i) { i.bucket.inputs[2].dtype = "float16"; }, true},
      {"target.arch", [](Inputs& i) { i.target.arch = "sm_90"; }, true},
      {"target.isa", [](Inputs& i) { i.target.isa = IsaLevel::kAvx512; }, true},
      {"target.device_name", [](Inputs& i) { i.target.device_name = "H100"; }, true},
      {"toolchain.torch_version", [](Inputs& i) { i.toolchain.torch_version = "2.12.0"; }, true},
      {"toolchain.torch_git", [](Inputs& i) { i.toolchain.torch_git = "11223344"; }, true},
      {"toolchain.cuda", [](Inputs& i) { i.toolchain.cuda = "13.0"; }, true},
      {"toolchain.triton", [](Inputs& i) { i.toolchain.triton = "3.6.0"; }, true},
      {"toolchain.compiler", [](Inputs& i) { i.toolchain.compiler = "g++ 13"; }, true},
      {"toolchain.libc", [](Inputs& i) { i.toolchain.libc = "glibc 2.39"; }, true},
      {"toolchain.recipe_sha256", [](Inputs& i) { i.toolchain.recipe_sha256 = "ac"; }, true},
  };
  expect_table(table);
}

TEST(CompileKeyTest, ModesBackendsAndLevelsAllDiffer) {
  std::set<Digest> keys;
  for (const auto mode : {CompileMode::kDefault, CompileMode::kReduceOverhead, CompileMode::kMaxAutotuneNoCudagraphs}) {
    for (const auto backend : {CompileBackend::kInductor, CompileBackend::kCudagraphs}) {
      for (const auto isa : {IsaLevel::kNone, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
        CompileKeyInputs inputs = typical();
        inputs.settings.mode = mode;
        inputs.settings.backend = backend;
        inputs.target.isa = isa;
        keys.insert(make_compile_key(inputs).digest);
      }
    }
  }
  EXPECT_EQ(keys.size(), 18U);
}

// The default's key names it as it always did.
TEST(CompileKeyTest, ModesThatMakeTheSameCodeHaveOneKey) {
  const auto key = [](CompileMode mode) {
    CompileKeyInputs inputs = typical();
    inputs.settings.mode = mode;
    return make_compile_key(inputs);
  };
  const auto same = explain_difference(key(CompileMode::kMaxAutotune), key(CompileMode::kMaxAutotuneNoCudagraphs));
  EXPECT_TRUE(same.empty()) << describe(same);
  const auto other = explain_difference(key(CompileMode::kDefault), key(CompileMode::kMaxAutotune));
  EXPECT_EQ(describe(other), "settings.mode: default here, max-autotune-no-cudagraphs there");
}

TEST(CompileKeyTest, MovingTextBetweenFieldsChangesTheKey) {
  CompileKeyInputs left = typical();
  left.toolchain.torch_version = "2.11";
  left.toolchain.torch_git = "0abc";
  CompileKeyInputs right = typical();
  right.toolchain.torch_version = "2.110";
  right.toolchain.torch_git = "abc";
  EXPECT_NE(make_compile_key(left).digest, make_compile_key(right).digest);
}

// A key is a promise to every store that holds artifacts: it changes only with kArtifactFormatVersion.
TEST(CompileKeyTest, GoldenKey) {
  EXPECT_EQ(make_compile_key(typical()).hex(), "f6769f4198e8d4f3c2083e6cb9a1502e8b7e37daeb7e95bc613147d033c4fe46");
}

TEST(CompileKeyTest, DifferenceReadsAsOneLine) {
  CompileKeyInputs other = typical();
  other.target.isa = IsaLevel::kAvx512;
  other.bucket.inputs.pop_back();
  const auto differences = explain_difference(make_compile_key(typical()), make_compile_key(other));
  EXPECT_EQ(describe(differences),
            "inputs: 3 here, 2 there; input.2: float32[64](1) here, nothing there; target.isa: avx2 here, avx512 there");
}

TEST(CompileKeyTest, DenseStridesFollowTheMemoryFormat) {
  EXPECT_EQ(dense_tensor({2, 3, 4, 5}, "float32", false).strides, (std::vector<std::int64_t>{60, 20, 5, 1}));
  EXPECT_EQ(dense_tensor({2, 3, 4, 5}, "float32", true).strides, (std::vector<std::int64_t>{60, 1, 15, 3}));
}

// As a message has them.
struct Words {
  std::string backend = "inductor";
  std::string mode = "default";
  bool dynamic = false;
  bool compile_transformer_blocks_only = true;
  bool fullgraph = false;
  std::uint32_t dynamo_cache_size_limit = 64;
  std::uint32_t dynamo_recompile_limit = 128;
  bool force_parameter_static_shapes = false;
  bool allow_unmerged_lora_compile = false;
};

TEST(CompileSettingsTest, EverySettingOfAMessageIsTaken) {
  EXPECT_EQ(compile_settings_of(Words()).value(), CompileSettings());
  const Words words{"cudagraphs", "reduce-overhead", true, false, true, 1, 2, true, true};
  const CompileSettings wanted{
      CompileBackend::kCudagraphs, CompileMode::kReduceOverhead, true, false, true, 1, 2, true, true};
  EXPECT_EQ(compile_settings_of(words).value(), wanted);
  const auto wrong = compile_settings_of(Words{.backend = "inducto"});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("Did you mean 'inductor'?"), std::string::npos) << wrong.error().message;
}

// Each value of each setting is had, changes nothing and says so, or cannot be had.
TEST(CompileSettingsTest, NothingIsTakenAndLeftWithoutAWord) {
  struct Row {
    std::string name;
    CompileSettings settings;
    bool available;
    bool said;  // that it changes nothing
  };
  const std::vector<Row> table{
      {"", {}, true, false},
      {"backend", {.backend = CompileBackend::kCudagraphs}, false, false},
      {"mode", {.mode = CompileMode::kReduceOverhead}, false, false},
      {"mode", {.mode = CompileMode::kMaxAutotune}, true, true},
      {"mode", {.mode = CompileMode::kMaxAutotuneNoCudagraphs}, true, false},
      {"dynamic", {.dynamic = true}, false, false},
      {"compile_transformer_blocks_only", {.compile_transformer_blocks_only = false}, true, true},
      {"fullgraph", {.fullgraph = true}, true, true},
      {"dynamo_cache_size_limit", {.dynamo_cache_size_limit = 1}, true, true},
      {"dynamo_recompile_limit", {.dynamo_recompile_limit = 1}, true, true},
      {"force_parameter_static_shapes", {.force_parameter_static_shapes = true}, true, true},
      {"allow_unmerged_lora_compile", {.allow_unmerged_lora_compile = true}, true, true},
  };
  for (const Row& row : table) {
    const auto lacks = find_unavailable(row.settings);
    EXPECT_EQ(!lacks, row.available) << row.name;
    if (lacks) {
      EXPECT_EQ(lacks->name, row.name);
      EXPECT_EQ(lacks->error.exit, ExitCode::kBadConfig);
      EXPECT_NE(lacks->error.message.find("is not to be had: "), std::string::npos) << lacks->error.message;
    }
    const auto lines = without_effect(row.settings);
    ASSERT_EQ(lines.size(), row.said ? 1U : 0U) << row.name;
    if (row.said) {
      EXPECT_EQ(lines[0].rfind(row.name, 0), 0U) << lines[0];
    }
  }
}

TEST(CompileSettingsTest, NamesRoundTripAndTypingErrorsNameTheNearest) {
  EXPECT_EQ(compile_mode_from_string("max-autotune").value(), CompileMode::kMaxAutotune);
  EXPECT_EQ(to_string(compile_backend_from_string("cudagraphs").value()), "cudagraphs");
  const auto wrong = compile_mode_from_string("max-autotun");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("Did you mean 'max-autotune'?"), std::string::npos);
}

}  // namespace
}  // namespace kiln::sharding
