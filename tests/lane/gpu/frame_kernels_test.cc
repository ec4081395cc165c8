// What can be said of kernels on a machine without a card: how their parameters are refused, and what a missing or odd
// driver leads to. tests/gpu runs them.
#include "lane/gpu/frame_kernels.h"

#include <gtest/gtest.h>

#include "lane/gpu/cuda_driver.h"
#include "tests/lane/gpu/frame_cases.h"

namespace kiln::lane {
namespace {

TEST(FrameParametersTest, RefusesWhatTheReferenceRefuses) {
  FrameKernelsSetup setup = frame_cases({{64, 48}}).front().setup;
  setup.color.matrix = ColorMatrix::kIctcp;
  const auto matrix = frame_parameters(setup);
  ASSERT_FALSE(matrix);
  EXPECT_NE(matrix.error().message.find("ictcp"), std::string::npos) << matrix.error().message;
  setup = frame_cases({{64, 48}}).front().setup;
  setup.width = 0;
  EXPECT_FALSE(frame_parameters(setup));
  setup = frame_cases({{64, 48}}).front().setup;
  setup.color.range = ColorRange::kUnspecified;
  EXPECT_FALSE(frame_parameters(setup));
}

TEST(FrameParametersTest, PlanesLieWhereTheFormatHasThem) {
  for (const auto& [setup, name] : frame_cases({{67, 35}})) {
    const auto p = frame_parameters(setup).value();
    for (int plane = 0; plane < setup.format.plane_count(); ++plane) {
      EXPECT_EQ(static_cast<std::size_t>(p.plane_offset[plane]) * static_cast<std::size_t>(setup.format.bytes_per_sample()),
                setup.format.plane_offset_bytes(plane, 67, 35))
          << name;
    }
  }
}

TEST(CudaDriverTest, MissingLibraryIsOneLine) {
  const auto driver = CudaDriver::open("/nonexistent/libcuda.so.1");
  ASSERT_FALSE(driver);
  EXPECT_EQ(driver.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(driver.error().message.find("no NVIDIA driver here"), std::string::npos);
}

TEST(CudaDriverTest, LibraryWithoutAFunctionIsNamed) {
  const auto driver = CudaDriver::open("libm.so.6");
  ASSERT_FALSE(driver);
  EXPECT_EQ(driver.error().code, ErrorCode::kUnimplemented);
  EXPECT_NE(driver.error().message.find("cuGetErrorName"), std::string::npos) << driver.error().message;
}

}  // namespace
}  // namespace kiln::lane
