// The table of settings.
#include <array>

#include "cli/config_table.h"

namespace kiln::cli {
namespace {

using namespace std::string_view_literals;

constexpr std::array kExecutors{"any"sv, "compiled"sv, "uncompiled"sv};
constexpr std::array kPrecisions{"auto"sv, "float32"sv, "float16"sv, "bfloat16"sv};
constexpr std::array kBackends{"inductor"sv, "cudagraphs"sv};
constexpr std::array kModes{"default"sv, "reduce-overhead"sv, "max-autotune"sv, "max-autotune-no-cudagraphs"sv};
constexpr std::array kCodecs{""sv, "h264"sv, "hevc"sv, "av1"sv, "ffv1"sv, "prores"sv, "png"sv};
constexpr std::array kLogLevels{"debug"sv, "info"sv, "warning"sv, "error"sv};

constexpr int kMostLanes = 256;
constexpr int kMostThreads = 1024;
constexpr int kMostSegmentFrames = 100'000;
constexpr int kMostQuality = 63;  // AV1 has the longest scale
constexpr int kMostDeadlineS = 86'400;
constexpr int kLeastCompileMemoryMib = 512;
constexpr int kMostCompileMemoryMib = 1 << 20;
constexpr int kMostActivationMib = 1 << 20;
constexpr int kMostSilenceS = 86'400;

const std::array kSettings{
    Setting{"run.lanes", "KILN_LANES", kPlace<&Config::lanes>, "CPU lanes, one process each", 1, kMostLanes},
    Setting{"run.threads_per_lane", "KILN_THREADS_PER_LANE", kPlace<&Config::threads_per_lane>,
            "threads of each lane; 0: the machine's cores divided by the lanes", 0, kMostThreads},
    Setting{"run.segment_frames", "KILN_SEGMENT_FRAMES", kPlace<&Config::segment_frames>,
            "frames that are rendered and encoded as one piece; 0: chosen from the clip's length and the lanes", 0,
            kMostSegmentFrames},
    Setting{"run.executor", "KILN_EXECUTOR", kPlace<&Config::executor>,
            "which frames a job accepts: those of the compiled artifact, of the graph, or both", 0, 0,
            kExecutors},
    Setting{"run.precision", "KILN_PRECISION", kPlace<&Config::precision>,
            "what the network is computed in; auto: float16 on cards with matrix units for it (sm_70 and later), else float32",
            0, 0, kPrecisions},
    Setting{"run.compile_backend", "KILN_COMPILE_BACKEND", kPlace<&Config::compile_backend>,
            "who compiles: inductor; cudagraphs is not to be had, since compiled libraries record no CUDA graphs", 0, 0, kBackends},
    Setting{"run.compile_mode", "KILN_COMPILE_MODE", kPlace<&Config::compile_mode>,
            "how hard it tries, as in torch.compile; max-autotune tries kernels on the card that compiles; reduce-overhead "
            "is not to be had", 0, 0, kModes},
    Setting{"run.compile_dynamic", "KILN_COMPILE_DYNAMIC", kPlace<&Config::compile_dynamic>,
            "one artifact for a range of tile shapes; true is not to be had"},
    Setting{"run.compile_fullgraph", "KILN_COMPILE_FULLGRAPH", kPlace<&Config::compile_fullgraph>,
            "taken for those who know it from torch.compile; graphs are always whole"},
    Setting{"run.device", "KILN_DEVICE", kPlace<&Config::device>,
            "where lanes run the network: cpu; cuda, a lane on every card; cuda:N, or cuda:0,cuda:2, on these; auto: every card, or "
            "where there is none the CPU"},
    Setting{"run.vram_cap_mib", "KILN_VRAM_CAP_MIB", kPlace<&Config::vram_cap_mib>,
            "memory (MiB) of its card that a lane may hold: context, weights and activations; 0: all that is free", 0,
            kMostActivationMib},
    Setting{"run.activation_mib", "KILN_ACTIVATION_MIB", kPlace<&Config::activation_mib>,
            "memory (MiB) for one lane's activations, above which frames are tiled; 0: half of the machine's memory "
            "divided by its cores", 0, kMostActivationMib},
    Setting{"run.lane_silence_s", "KILN_LANE_SILENCE_S", kPlace<&Config::lane_silence_s>,
            "seconds without a sign of life after which a lane is killed and started again", 1, kMostSilenceS},
    Setting{"run.state", "KILN_STATE", kPlace<&Config::state_dir>,
            "folder of the store, the signing key and unfinished jobs; empty: $STATE_DIRECTORY, else $XDG_STATE_HOME/kiln"},
    Setting{"video.codec", "KILN_CODEC", kPlace<&Config::codec>,
            "how the output is encoded; empty: by the output's name", 0, 0, kCodecs},
    Setting{"video.quality", "KILN_QUALITY", kPlace<&Config::quality>,
            "quality on the encoder's own scale (CRF), smaller is better; -1: the codec's default", -1,
            kMostQuality},
    Setting{"compile.deadline_s", "KILN_COMPILE_DEADLINE_S", kPlace<&Config::compile_deadline_s>,
            "seconds after which one compile is given up", 1, kMostDeadlineS},
    Setting{"compile.memory_mib", "KILN_COMPILE_MEMORY_MIB", kPlace<&Config::compile_memory_mib>,
            "resident memory (MiB) at which one compile is given up, at most half of the machine's", kLeastCompileMemoryMib,
            kMostCompileMemoryMib},
    Setting{"compile.threads", "KILN_COMPILE_THREADS", kPlace<&Config::compile_threads>,
            "threads of the compile child; 0: as many as a lane has", 0, kMostThreads},
    Setting{"programs.python", "KILN_PYTHON", kPlace<&Config::python>,
            "Python interpreter whose torch is used; empty: the one beside kiln, then python3"},
    Setting{"programs.torch", "KILN_TORCH", kPlace<&Config::torch>,
            "folder of a torch package, whose lib/ lanes load; empty: that of the interpreter"},
    Setting{"programs.ffmpeg", "KILN_FFMPEG", kPlace<&Config::ffmpeg>,
            "ffmpeg program, with ffprobe beside it; empty: the one beside kiln, then the one in PATH"},
    Setting{"log.level", "KILN_LOG_LEVEL", kPlace<&Config::log_level>, "least serious message that is logged", 0,
            0, kLogLevels},
};

}  // namespace

std::span<const Setting> settings() {
  static const std::vector<Setting> kAll = [] {
    std::vector<Setting> all(kSettings.begin(), kSettings.end());
    const auto farm = farm_settings();
    all.insert(all.end(), farm.begin(), farm.end());
    return all;
  }();
  return kAll;
}

}  // namespace kiln::cli
