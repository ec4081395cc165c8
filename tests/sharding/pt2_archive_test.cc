#include "sharding/package/pt2_archive.h"

#include <gtest/gtest.h>

#include <string>

namespace kiln::sharding {
namespace {

void put(std::string& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xffU);
}

std::uint32_t crc32_slow(const std::string& text) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? 0xedb88320U ^ (crc >> 1U) : crc >> 1U;
  }
  return crc ^ 0xffffffffU;
}

struct ZipEntry {
  std::string name;
  std::string content;
  std::uint32_t method = 0;
};

std::string make_zip(const std::vector<ZipEntry>& entries) {
  std::string zip;
  std::string directory;
  for (const ZipEntry& entry : entries) {
    std::string fields;
    put(fields, 20, 2), put(fields, 0, 2), put(fields, entry.method, 2), put(fields, 0, 4);
    put(fields, crc32_slow(entry.content), 4);
    const auto size = static_cast<std::uint32_t>(entry.content.size());
    put(fields, size, 4), put(fields, size, 4), put(fields, static_cast<std::uint32_t>(entry.name.size()), 2);
    put(fields, 0, 2);
    const auto offset = static_cast<std::uint32_t>(zip.size());
    zip += "PK\x03\x04" + fields + entry.name + entry.content;
    directory += std::string("PK\x01\x02") + std::string("\x14\x00", 2) + fields;
    put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 4);
    put(directory, offset, 4);
    directory += entry.name;
  }
  const auto start = static_cast<std::uint32_t>(zip.size());
  zip += directory + "PK\x05\x06";
  put(zip, 0, 4), put(zip, static_cast<std::uint32_t>(entries.size()), 2);
  put(zip, static_cast<std::uint32_t>(entries.size()), 2);
  put(zip, static_cast<std::uint32_t>(directory.size()), 4), put(zip, start, 4), put(zip, 0, 2);
  return zip;
}

Result<std::string_view> read(const std::string& zip) { return read_pt2_graph(std::as_bytes(std::span(zip))); }

const std::vector<ZipEntry> kGood = {{"archive/archive_format", "pt2"},
                                     {"archive/models/model.json", "{\"graph\": 1}"}};

TEST(Pt2ArchiveTest, FindsTheGraph) {
  const std::string zip = make_zip(kGood);
  const auto graph = read(zip);
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(*graph, "{\"graph\": 1}");
}

TEST(Pt2ArchiveTest, EveryTruncationIsRefused) {
  const std::string zip = make_zip(kGood);
  for (std::size_t length = 0; length < zip.size(); ++length) EXPECT_FALSE(read(zip.substr(0, length))) << length;
}

TEST(Pt2ArchiveTest, EveryFlippedBitInTheGraphIsSeen) {
  const std::string zip = make_zip(kGood);
  const std::size_t start = zip.find("{\"graph\"");
  for (std::size_t i = 0; i < 12 * 8; ++i) {
    std::string damaged = zip;
    damaged[start + i / 8] = static_cast<char>(damaged[start + i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(read(damaged)) << i;
  }
}

TEST(Pt2ArchiveTest, AnyFlippedByteIsRefusedOrHarmless) {
  const std::string zip = make_zip(kGood);
  for (std::size_t i = 0; i < zip.size(); ++i) {
    std::string damaged = zip;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    const auto graph = read(damaged);
    EXPECT_TRUE(!graph || *graph == "{\"graph\": 1}") << i;
  }
}

TEST(Pt2ArchiveTest, CompressedOrRepeatedOrMissingGraphIsRefused) {
  EXPECT_FALSE(read(make_zip({{"archive/models/model.json", "{}", 8}})));
  EXPECT_FALSE(read(make_zip({{"a/models/model.json", "{}"}, {"b/models/model.json", "{}"}})));
  EXPECT_FALSE(read(make_zip({{"archive/models/other.json", "{}"}})));
  EXPECT_FALSE(read(""));
}

}  // namespace
}  // namespace kiln::sharding
