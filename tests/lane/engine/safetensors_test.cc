#include "lane/engine/safetensors.h"

#include <gtest/gtest.h>

#include <random>

namespace kiln::lane {
namespace {

std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((header.size() >> (8 * i)) & 0xffU);
  return file + header + std::string(data_bytes, '\x01');
}

Result<StoredTensors> read(const std::string& file) { return read_safetensors(std::as_bytes(std::span(file))); }

const std::string kTwo =
    R"({"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}})";

TEST(SafetensorsTest, FindsEveryTensor) {
  const std::string file = file_of(kTwo, 32);
  const auto tensors = read(file);
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2U);
  EXPECT_EQ(tensors->at("a").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(tensors->at("a").bytes.size(), 24U);
  EXPECT_EQ(tensors->at("b").bytes.data(), std::as_bytes(std::span(file)).data() + file.size() - 8);
}

TEST(SafetensorsTest, EveryTruncationIsRefused) {
  const std::string file = file_of(kTwo, 32);
  for (std::size_t length = 0; length < file.size(); ++length) EXPECT_FALSE(read(file.substr(0, length)));
  EXPECT_FALSE(read(file + "x"));
}

struct BadHeader {
  const char* name;
  const char* header;
  std::size_t data_bytes;
};

class BadSafetensorsTest : public testing::TestWithParam<BadHeader> {};

TEST_P(BadSafetensorsTest, IsRefused) {
  const auto tensors = read(file_of(GetParam().header, GetParam().data_bytes));
  ASSERT_FALSE(tensors);
  EXPECT_EQ(exit_code(tensors.error()), 65);
}

INSTANTIATE_TEST_SUITE_P(
    Headers, BadSafetensorsTest,
    testing::Values(
        BadHeader{"Overlap", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6},
        BadHeader{"Same", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4},
        BadHeader{"Hole", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9},
        BadHeader{"Behind", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3},
        BadHeader{"ShapeAndRangeDiffer", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}})", 4},
        BadHeader{"Backwards", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4},
        BadHeader{"Negative", R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", 4},
        BadHeader{"Overflow", R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0},
        BadHeader{"UnknownDtype", R"({"a":{"dtype":"X","shape":[4],"data_offsets":[0,4]}})", 4},
        BadHeader{"UnknownField", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"load":"x"}})", 4},
        BadHeader{"Twice", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4},
        BadHeader{"List", "[]", 0}, BadHeader{"NotJson", "{", 0}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(SafetensorsTest, HugeHeaderLengthIsRefused) {
  EXPECT_FALSE(read(std::string(8, '\xff') + "{}"));
}

TEST(SafetensorsTest, RandomBytesNeverCrash) {
  std::mt19937 random(7);
  const std::string good = file_of(kTwo, 32);
  for (int round = 0; round < 20'000; ++round) {
    std::string file = good;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) file[random() % file.size()] = static_cast<char>(random());
    const auto tensors = read(file);
    if (!tensors) continue;
    for (const auto& [name, tensor] : *tensors) {
      EXPECT_GE(tensor.bytes.data(), std::as_bytes(std::span(file)).data());
      EXPECT_LE(tensor.bytes.data() + tensor.bytes.size(), std::as_bytes(std::span(file)).data() + file.size());
    }
  }
}

}  // namespace
}  // namespace kiln::lane
