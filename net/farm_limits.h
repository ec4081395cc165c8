// Bounds of what the farm's messages and facts may hold. Whoever receives more refuses the whole message; job files
// and commands check against the same numbers, so that a user hears of it first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kiln::net {

// Whole frames; what the sockets carry (net/socket_types.h).
inline constexpr std::size_t kFarmMessageBytesMax = 8U << 20U;
inline constexpr std::size_t kFactBytesMax = 32U << 20U;

// Texts, in bytes.
inline constexpr std::size_t kNameBytesMax = 64;     // of jobs and workers
inline constexpr std::size_t kWordBytesMax = 64;     // codec, preset, pixel format, scale
inline constexpr std::size_t kLabelBytesMax = 256;   // owner, pool, variant, device, compiler
inline constexpr std::size_t kTextBytesMax = 4096;   // messages, reasons, titles, URLs
inline constexpr std::size_t kPathBytesMax = 4096;
inline constexpr std::size_t kManifestBytesMax = 4U << 20U;
inline constexpr std::size_t kKeysBytesMax = 1U << 20U;
inline constexpr std::size_t kPromptBytesMax = 16U << 10U;  // a text encoder reads some 2 KiB of it

// Numbers of entries.
inline constexpr std::size_t kClipsMax = 10'000;        // of a job
inline constexpr std::size_t kVariantsMax = 16;
inline constexpr std::size_t kDependenciesMax = 1'000;
inline constexpr std::size_t kPackageFilesMax = 4'096;
inline constexpr std::size_t kTileChoicesMax = 96;
inline constexpr std::size_t kDtypesMax = 3;  // that a package may have graphs of
inline constexpr std::size_t kCardEncodersMax = 32;     // with a pixel format, of one card
inline constexpr std::size_t kSegmentsMax = 1'000'000;  // of a clip
inline constexpr std::size_t kWarningsMax = 256;
inline constexpr std::size_t kLanesMax = 1'024;         // of a worker
inline constexpr std::size_t kSharesMax = 100'000;
inline constexpr std::size_t kWorkersMax = 10'000;
inline constexpr std::size_t kJobsListedMax = 100'000;
inline constexpr std::size_t kTasksListedMax = 100'000;
inline constexpr std::size_t kLinesMax = 1'000;
inline constexpr std::size_t kAttemptsMax = 1'000;
inline constexpr std::size_t kSpansMax = 500'000;

// Numbers.
inline constexpr std::uint64_t kBytesMax = 1ULL << 50U;     // a blob, a memory
inline constexpr std::int64_t kCountMax = 1LL << 53U;       // what a double holds exactly
inline constexpr std::int64_t kFramesMax = 1LL << 40U;
inline constexpr std::int64_t kSideMax = 1LL << 20U;        // pixels
inline constexpr std::int64_t kNoopTasksMax = 10'000'000;
inline constexpr std::uint32_t kCompileLimitMax = 65'536;  // of artifacts and of shapes, in compile settings
inline constexpr int kPriorityMax = 1'000'000;
inline constexpr int kQualityMax = 255;
inline constexpr int kThreadsMax = 4'096;
inline constexpr int kNumaNodesMax = 4'096;
inline constexpr int kCoresMax = 65'536;
inline constexpr int kExitMax = 255;
inline constexpr int kStepsMax = 1'000;           // of a shot: as many as a model is trained with
inline constexpr double kGuidanceMax = 1'000.0;  // of a shot, and of its shift
inline constexpr std::int64_t kFrameHashBytes = 16;

}  // namespace kiln::net
