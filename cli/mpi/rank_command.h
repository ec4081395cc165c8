// What the ranks of a launch know once MPI is gone, and the commands that they become.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "cli/command.h"
#include "cli/mpi/rank_plan.h"
#include "net/curve_keys.h"

namespace kiln::cli {

// How often a rank looks whether its launcher is still there: one that was killed with -9 tells nobody.
inline constexpr int kLauncherLookMs = 1'000;

struct MpiFlags {
  std::string job_file;
  std::string output;   // a folder, or with one clip a file's name
  bool overwrite = false;
  std::string state;    // of the coordinator; below it the workers', unless `scratch` is named
  std::string scratch;
  std::string address;  // of rank 0's host
  std::string allow;    // further keys that may come in
  std::string store_budget;
  RankWishes wishes;
  std::vector<std::string> worker_words;  // what follows "--"
};

// All that MPI was needed for. Goes through exec in a memory file: it holds the rank's secret key, which is written
// nowhere.
struct Launch {
  int rank = 0;
  std::vector<Introduction> ranks;
  std::string address;  // of rank 0's host, as the others reach it
  int port = 0;
  int store_port = 0;
  std::string secret_key;  // Z85; its public half is in the introduction

  [[nodiscard]] std::string endpoint() const { return fmt::format("tcp://{}:{}", address, port); }
  [[nodiscard]] std::string store_listen() const { return fmt::format("{}:{}", address, store_port); }
  [[nodiscard]] const std::string& coordinator_key() const { return ranks[0].public_key; }
  [[nodiscard]] net::CurveKeyPair own_keys() const {
    return {ranks[static_cast<std::size_t>(rank)].public_key, secret_key};
  }
};
[[nodiscard]] Result<UniqueFd> pack_launch(const Launch& launch);
[[nodiscard]] Result<Launch> unpack_launch(int fd);

// A key pair in a memory file, for a child's --key.
[[nodiscard]] Result<UniqueFd> pack_keys(const net::CurveKeyPair& keys);

// `keys` stays open for as long as the command may be started again.
[[nodiscard]] SpawnOptions worker_command(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global,
                                          const RankRole& role, int keys);
[[nodiscard]] SpawnOptions coordinator_command(const Launch& launch, const MpiFlags& flags,
                                               const GlobalOptions& global, int keys);

// `kiln worker`, kept alive until it leaves; returns what the rank ends with.
[[nodiscard]] Result<int> run_worker_rank(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global,
                                          const RankRole& role);

}  // namespace kiln::cli
