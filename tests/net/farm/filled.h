// Messages and facts in which every field has a value that is valid and not its default.
#pragma once

#include <random>
#include <string>
#include <variant>
#include <vector>

#include "net/farm_codec.h"
#include "tests/net/farm/fields.h"

namespace kiln::net::test {

inline int values_of(JobKind) { return static_cast<int>(JobKind::kGenerate) + 1; }
inline int values_of(JobDetail) { return static_cast<int>(JobDetail::kFrames) + 1; }
inline int values_of(JobVerb) { return static_cast<int>(JobVerb::kRemove) + 1; }
inline int values_of(JobState) { return static_cast<int>(JobState::kCancelled) + 1; }
inline int values_of(TaskKind) { return static_cast<int>(TaskKind::kNoop) + 1; }
inline int values_of(FailureKind) { return static_cast<int>(FailureKind::kStoreFull) + 1; }

// Fields that hang together. Called when all have a value.
template <typename T>
void agree(T&) {}
inline void agree(ProbeSpec& value) { value.dtypes = {"bfloat16", "float16"}; }
inline void agree(CompileSettings& value) {
  value.backend = "cudagraphs";
  value.mode = "max-autotune";
  value.compile_transformer_blocks_only = false;
  value.dynamo_cache_size_limit = 7;
  value.dynamo_recompile_limit = 9;
}
inline void agree(CompileSpec& value) { value.dtype = "float16"; }
inline void agree(CompileWanted& value) { value.dtype = "float16"; }
inline void agree(TileChoice& value) { value.dtype = "bfloat16"; }
inline void agree(PackageFile& value) { value.place = "/" + value.place; }
inline void agree(Shot& value) {
  value.guidance = 6.0;
  value.low_noise_guidance = 3.5;
  value.shift = 5.0;
  value.solver = "unipc";
}
inline void agree(ClipSource& value) { value.path = "/" + value.path; }
inline void agree(SegmentSpec& value) {
  value.last = value.first + 7;
  value.executor = "compiled";
  value.dtype = "float16";
}
inline void agree(SegmentResult& value) {
  value.last = value.first + static_cast<std::int64_t>(value.frame_hashes.size()) / kFrameHashBytes;
}
inline void agree(Assigned& value) { value.last = value.first + 7; }
inline void agree(JobRequest& value) {
  value.executor = "uncompiled";
  value.numerics = "tolerant";
  value.precision = "bfloat16";
}

class Filler {
 public:
  explicit Filler(std::uint64_t seed) : random_(seed) {}

  void fill(std::string& value) {  // a hash, which is also a valid name, path and word
    value.clear();
    while (value.size() < 64) value.push_back("0123456789abcdef"[random_() % 16]);
  }
  void fill(bool& value) { value = true; }
  void fill(double& value) { value = 0.5 + static_cast<double>(random_() % 1'000'000); }
  void fill(Error& value) {
    value = Error{ErrorCode::kAborted, "one line", ExitCode::kTryAgain};
  }
  template <typename T>
  void fill(std::vector<T>& value) {
    value.resize(1 + random_() % 3);
    for (auto&& item : value) fill(item);
  }
  template <typename... T>
  void fill(std::variant<T...>& value) {
    fill_alternative(value, random_() % sizeof...(T));
  }
  template <typename T>
  void fill(T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(random_() % static_cast<std::uint64_t>(values_of(T{})));
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(1 + random_() % 200);
    } else {
      for_each_field(value, [this](auto& field) { this->fill(field); });
      agree(value);
    }
  }
  template <typename... T>
  void fill_alternative(std::variant<T...>& value, std::size_t index) {
    std::size_t at = 0;
    (void)((at++ == index && (fill(value.template emplace<T>()), true)) || ...);
  }

 private:
  std::mt19937_64 random_;
};

template <typename Variant>
std::vector<Variant> each_alternative(std::uint64_t seed) {
  std::vector<Variant> all(std::variant_size_v<Variant>);
  Filler filler(seed);
  for (std::size_t i = 0; i < all.size(); ++i) filler.fill_alternative(all[i], i);
  return all;
}

// One of every body that a frame can have.
inline std::vector<FarmMessage> each_message(std::uint64_t seed) {
  std::vector<FarmMessage> all;
  const auto add = [&](auto bodies) {
    for (auto& body : bodies) all.push_back({seed + all.size() + 1, std::move(body), {}});
  };
  add(each_alternative<ClientRequest>(seed));
  add(each_alternative<ClientReply>(seed));
  add(each_alternative<FromWorker>(seed));
  add(each_alternative<ToWorker>(seed));
  return all;
}

}  // namespace kiln::net::test
