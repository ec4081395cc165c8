// What a kernel is told of a frame: shared by the program, which fills it in, and the kernels, which NVRTC compiles. No
// other header is included, since NVRTC has none.
#pragma once

namespace kiln::lane::kernels {

inline constexpr int kDoublingDownTaps = 4;
inline constexpr int kDoublingAcrossTaps = 5;  // both filters of a pair of pixels, on the columns that either reads
inline constexpr int kHalvingTapCount = 8;

// The part of a frame with halved chroma that one block of threads makes, and what it reads for that.
inline constexpr int kTileChromaColumns = 29;  // so that what is read is 64 wide: each thread stays in one column
inline constexpr int kTileLumaColumns = 2 * kTileChromaColumns;
inline constexpr int kTileLumaRows = 32;
inline constexpr int kTileColumns = kTileLumaColumns - 2 + kHalvingTapCount;
inline constexpr int kTileRows = kTileLumaRows - 2 + kHalvingTapCount;
inline constexpr int kTileThreads = 256;
inline constexpr int kTileLanes = 32;  // threads for the chroma columns of a row; the last three have nothing to do
static_assert(kTileThreads % kTileColumns == 0 && kTileThreads % kTileLanes == 0 && kTileChromaColumns <= kTileLanes);
// Other kernels: threads of a block across and down.
inline constexpr int kBlockColumns = 32;
inline constexpr int kBlockRows = 8;

enum class Layout : int { kYuv, kGray, kPackedRgb, kPlanarGbr };

// signal = (code - offset) * factor; code = signal * scale + rounding_offset, cut off between 0 and `most`.
struct CodeRange {
  float offset;
  float factor;
  float scale;
  float rounding_offset;
  float most;
};

// Where a value of RGB lies, in values: y * row + x * column + c * channel. Contiguous pixels: 3 * width, 3, 1; contiguous
// planes of red, green and blue: width, 1, width * height.
struct RgbStrides {
  int row;
  int column;
  long long channel;
};

struct FrameParameters {
  int width;
  int height;
  RgbStrides rgb;
  Layout layout;
  int halved_across;  // 1: chroma planes are half as wide
  int halved_down;
  int chroma_width;  // of planes 1 and 2
  int chroma_height;
  int clamp;   // colours outside 0 … 1 are clamped
  int dither;  // ordered dither before rounding
  long long plane_offset[3];  // in samples
  CodeRange luma;
  CodeRange chroma;
  float to_rgb[3][2];
  float from_rgb[3][3];
  // Luma column 2c + parity: taps of chroma columns c - 2 … c + 2.
  float doubling_across[2][kDoublingAcrossTaps];
  // Luma row y: taps of chroma rows y / 2 + first and on, by y's parity.
  int doubling_down_first[2];
  float doubling_down[2][kDoublingDownTaps];
  // Chroma c: taps of luma 2c + first and on.
  int halving_across_first;
  int halving_down_first;
  float halving_across[kHalvingTapCount];
  float halving_down[kHalvingTapCount];
};

// Resampling: output row or column i is the sum of `count` weights times input rows or columns first[i] and on. Tables are
// in the card's memory.
struct ResampleParameters {
  RgbStrides input;
  RgbStrides output;
  int input_width;
  int input_height;
  int output_width;
  int output_height;
  int band_first;  // rows of the output that one pair of launches makes: between the passes there is room for as many
  int band_rows;
  int across_count;
  int down_count;
  const int* across_first;
  const int* down_first;
  const float* across_weights;
  const float* down_weights;
};

}  // namespace kiln::lane::kernels
