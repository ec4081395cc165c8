#include "worker/compile_protocol.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "worker/kernel_order.h"

namespace kiln::worker {
namespace {

constexpr const char* kDone =
    R"({"event":"done","id":7,"library":"/w/request/model.so","compile_s":1.5,"run_ms":2.5,"run_peak_bytes":9,)"
    R"("outputs":[{"shape":[[1,1],[3,6]],"dtype":"float32","strides":[3,1]}]})";

// `kDone` with one text in it replaced.
std::string done_with(const std::string& from, const std::string& to) {
  std::string text = kDone;
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST(CompileProtocolTest, DoneIsRead) {
  const auto reply = decode_child_reply(kDone);
  ASSERT_TRUE(reply) << reply.error().message;
  const auto& done = std::get<ChildDone>(*reply);
  EXPECT_EQ(done.id, 7U);
  EXPECT_EQ(done.result.outputs[0].shape[1], (sharding::DimRange{3, 6}));
}

TEST(CompileProtocolTest, WhatItTookOfItsCardIsReadWhereItIsSaid) {
  const auto of_cpu = decode_child_reply(kDone);
  ASSERT_TRUE(of_cpu);
  EXPECT_EQ(std::get<ChildDone>(*of_cpu).result.card_context_bytes, 0U);
  const auto of_card = decode_child_reply(done_with("\"run_ms\"", R"("card_context_bytes":5,"card_reserved_bytes":6,"run_ms")"));
  ASSERT_TRUE(of_card) << of_card.error().message;
  EXPECT_EQ(std::get<ChildDone>(*of_card).result.card_context_bytes, 5U);
  EXPECT_EQ(std::get<ChildDone>(*of_card).result.card_reserved_bytes, 6U);
  EXPECT_FALSE(decode_child_reply(done_with("\"run_ms\"", R"("card_context_bytes":"much","run_ms")")));
}

TEST(CompileProtocolTest, WhatIsOutOfBoundsIsRefused) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"1.5", "-1.5"},      {"1.5", "1e300"},           {"1.5", "\"fast\""},  {"[3,6]", "[6,3]"},
      {"[3,6]", "[-3,6]"},  {"[3,6]", "[3]"},           {"\"id\":7", "\"id\":\"x\""},
      {"done", "finished"}, {"float32", std::string(100, 'f')}, {"[3,1]", "[3,\"1\"]"}};
  for (const auto& [from, to] : wrong) {
    const auto reply = decode_child_reply(done_with(from, to));
    ASSERT_FALSE(reply) << from << " " << to;
    EXPECT_EQ(reply.error().code, ErrorCode::kDataLoss);
    EXPECT_NE(reply.error().message.find("nonsense"), std::string::npos);
  }
  EXPECT_FALSE(decode_child_reply(""));
  EXPECT_FALSE(decode_child_reply("[]"));
  EXPECT_FALSE(decode_child_reply("{\"event\":\"\xff\"}"));
}

TEST(CompileProtocolTest, MessagesAreOneBoundedPrintableLine) {
  const std::string line = R"({"event":"error","id":1,"message":"a\u001b[31m\nb)" + std::string(100'000, 'x') + "\"}";
  const auto reply = decode_child_reply(line);
  ASSERT_TRUE(reply);
  const auto& message = std::get<ChildError>(*reply).message;
  EXPECT_EQ(message.substr(0, 9), "a [31m bx");
  EXPECT_EQ(message.size(), kCompileMessageBytesMax);
}

TEST(CompileProtocolTest, RequestIsOneLineWithRangesStridesAndMode) {
  CompileRequest request;
  request.inputs = {sharding::dense_tensor({1, 3, 4, 5}, "float16", true)};
  request.settings.mode = sharding::CompileMode::kMaxAutotune;
  request.isa = sharding::IsaLevel::kAvx512;
  const std::string line = encode_compile_request(request, 3, "/w/my \"graph\".json", 2);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["inputs"][0]["shape"].dump(), "[[1,1],[3,3],[4,4],[5,5]]");
  EXPECT_EQ(json["inputs"][0]["strides"].dump(), "[60,1,15,3]");
  EXPECT_EQ(json["settings"]["mode"], "max-autotune");
  EXPECT_EQ(json["isa"], "avx512");
  EXPECT_EQ(json["graph_json_path"], "/w/my \"graph\".json");
}

TEST(CompileProtocolTest, KernelsAreAskedForWithoutAGraph) {
  const std::string line = encode_kernel_request({"source", "sm_90", {"--fmad=false"}}, 4, "/w/kernels.cu");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(nlohmann::json::parse(line).dump(),
            R"({"id":4,"kernels":{"arch":"sm_90","options":["--fmad=false"],"source_path":"/w/kernels.cu"}})");
}

// ---- what a lane may ask for ----

net::KernelsWanted wanted() { return {"sm_90", "__global__ void f() {}", {"--std=c++17", "--fmad=false"}}; }

TEST(KernelOrderTest, KeyKnowsSourceOptionsArchAndWhoCompiles) {
  const sharding::Toolchain toolchain{"2.11.0+cu130", "git", "13.0", "", "", "", ""};
  const auto key_of = [&](const net::KernelsWanted& asked) { return kernel_order(asked, toolchain).value().key.hex(); };
  const std::string key = key_of(wanted());
  EXPECT_EQ(key_of(wanted()), key);
  auto other = wanted();
  other.arch = "sm_75";
  EXPECT_NE(key_of(other), key);
  other = wanted();
  other.source += " ";
  EXPECT_NE(key_of(other), key);
  other = wanted();
  other.options.pop_back();
  EXPECT_NE(key_of(other), key);
  auto newer = toolchain;
  newer.cuda = "13.1";
  EXPECT_NE(kernel_order(wanted(), newer).value().key.hex(), key);
  newer = toolchain;
  newer.compiler = "g++ 13";  // has no part in it
  EXPECT_EQ(kernel_order(wanted(), newer).value().key.hex(), key);
}

TEST(KernelOrderTest, WhatNoLaneAsksIsRefused) {
  const auto refused = [](auto change) {
    auto asked = wanted();
    change(asked);
    return !kernel_order(asked, {}).has_value();
  };
  EXPECT_TRUE(refused([](auto& asked) { asked.arch = "sm_90 --include-path=/"; }));
  EXPECT_TRUE(refused([](auto& asked) { asked.arch = "compute_90"; }));
  EXPECT_TRUE(refused([](auto& asked) { asked.arch = "sm_"; }));
  EXPECT_TRUE(refused([](auto& asked) { asked.source.clear(); }));
  EXPECT_TRUE(refused([](auto& asked) { asked.source.resize(kKernelSourceBytesMax + 1, ' '); }));
  EXPECT_TRUE(refused([](auto& asked) { asked.options.resize(kKernelOptionsMax + 1, "--x"); }));
  EXPECT_TRUE(refused([](auto& asked) { asked.options = {"--" + std::string(kKernelOptionBytesMax, 'x')}; }));
  EXPECT_TRUE(refused([](auto& asked) { asked.options = {"-I/etc"}; }));
  EXPECT_TRUE(refused([](auto& asked) { asked.options = {"--x y"}; }));
  EXPECT_FALSE(refused([](auto&) {}));
}

}  // namespace
}  // namespace kiln::worker
