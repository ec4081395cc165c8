#include "base/sealed_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "base/sha256.h"

namespace kiln {
namespace {

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(SealedFileTest, CannotBeWrittenOrResizedAfterwards) {
  const UniqueFd fd = make_sealed("test", as_bytes("payload")).value();
  ASSERT_TRUE(require_sealed(fd.get()));
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(fd.get(), 1), -1);
  EXPECT_EQ(Mapping::map(fd.get())->text(), "payload");
  EXPECT_EQ(sha256_of_fd(fd.get()).value(), sha256("payload"));
}

TEST(SealedFileTest, AnOrdinaryFileIsNotAccepted) {
  const Pipe pipe = make_pipe().value();
  EXPECT_FALSE(require_sealed(pipe.read_end.get()));
}

TEST(SealedFileTest, CopyOfADescriptorIsIndependentOfItsSource) {
  const UniqueFd source = make_sealed("a", as_bytes("one two")).value();
  const UniqueFd copy = make_sealed_from_fd("b", source.get()).value();
  EXPECT_EQ(Mapping::map(copy.get())->text(), "one two");
}

}  // namespace
}  // namespace kiln
