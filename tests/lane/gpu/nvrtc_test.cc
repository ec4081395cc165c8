// Compiles for cards on a machine that may have none: NVRTC of the interpreter's wheels needs no driver.
#include "lane/gpu/nvrtc.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace kiln::lane {
namespace {

// site-packages of the interpreter that the build uses.
std::string nvrtc_of_the_wheels() {
  const char* python = std::getenv("KILN_PYTHON");
  if (python == nullptr) return "libnvrtc.so.13";
  const auto lib = std::filesystem::path(python).parent_path().parent_path() / "lib";
  for (const auto& entry : std::filesystem::directory_iterator(lib)) {
    const auto path = entry.path() / "site-packages/nvidia/cu13/lib/libnvrtc.so.13";
    if (std::filesystem::exists(path)) return path.string();
  }
  return "libnvrtc.so.13";
}

// Machine and kind of a 64-bit little-endian ELF file: a cubin's are EM_CUDA (190).
int elf_machine(const std::string& image) {
  return image.size() > 20 && image.starts_with("\x7f" "ELF") ? static_cast<unsigned char>(image[18]) : -1;
}

class NvrtcTest : public testing::TestWithParam<const char*> {};

TEST_P(NvrtcTest, OwnKernelsCompile) {
  const auto nvrtc = Nvrtc::open(nvrtc_of_the_wheels());
  ASSERT_TRUE(nvrtc) << nvrtc.error().message;
  const auto image = (*nvrtc)->compile(own_kernel_source(), GetParam());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(elf_machine(*image), 190);
  for (const char* name : {"kiln_to_rgb_u8_f16", "kiln_from_rgb_u16_bf16", "kiln_from_rgb_halved_u8_f32"}) {
    EXPECT_NE(image->find(name), std::string::npos) << name;
  }
}

// The oldest that this CUDA compiles for, those in use, and the newest that were asked for.
INSTANTIATE_TEST_SUITE_P(Cards, NvrtcTest, testing::Values("sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(NvrtcErrorTest, SourceThatIsBrokenIsNamedWithWhatTheCompilerSays) {
  const auto nvrtc = Nvrtc::open(nvrtc_of_the_wheels());
  ASSERT_TRUE(nvrtc) << nvrtc.error().message;
  EXPECT_EQ((*nvrtc)->version().substr(0, 3), "13.");
  KernelSource source{"broken.cu", "__global__ void f() { no_such_function(); }"};
  const auto image = (*nvrtc)->compile(source, "sm_90");
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(image.error().message.find("broken.cu(1)"), std::string::npos) << image.error().message;
  EXPECT_NE(image.error().message.find("no_such_function"), std::string::npos) << image.error().message;
}

TEST(NvrtcErrorTest, ArchThatNobodyKnowsIsAnError) {
  const auto nvrtc = Nvrtc::open(nvrtc_of_the_wheels());
  ASSERT_TRUE(nvrtc) << nvrtc.error().message;
  const auto image = (*nvrtc)->compile(own_kernel_source(), "sm_1");
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find("sm_1"), std::string::npos) << image.error().message;
}

TEST(NvrtcErrorTest, MissingLibraryIsOneLineThatNamesThePackage) {
  const auto nvrtc = Nvrtc::open("/nonexistent/libnvrtc.so.13");
  ASSERT_FALSE(nvrtc);
  EXPECT_EQ(nvrtc.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(nvrtc.error().message.find("nvidia-cuda-nvrtc"), std::string::npos) << nvrtc.error().message;
}

}  // namespace
}  // namespace kiln::lane
