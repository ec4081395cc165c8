#include "cli/mpi/rank_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace kiln::cli {
namespace {

constexpr std::size_t kHostCharsMax = 48;  // of a worker's name, which has 64

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::string host_word(std::string host) {
  std::replace_if(host.begin(), host.end(), [](char c) { return !is_name_character(c); }, '-');
  host = host.substr(0, kHostCharsMax);
  return host.empty() || host.front() == '.' ? "host" + host : host;
}

// Ranks that are bound to different processors have each their own; else they share what the host has.
int threads_of(const std::vector<Introduction>& ranks, const std::vector<std::size_t>& workers, std::size_t rank,
               int lanes) {
  const auto sharers = std::count_if(workers.begin(), workers.end(),
                                     [&](std::size_t other) { return ranks[other].cpus == ranks[rank].cpus; });
  return std::max(1, ranks[rank].cores / (lanes * static_cast<int>(std::max<std::ptrdiff_t>(1, sharers))));
}

std::string device_of(const std::string& wished, std::size_t index) {
  return wished == "cuda" ? fmt::format("cuda:{}", index) : wished;
}

}  // namespace

std::string encode(const Introduction& introduction) {
  return nlohmann::json{{"node", introduction.node},
                        {"node_rank", introduction.node_rank},
                        {"host", introduction.host},
                        {"public_key", introduction.public_key},
                        {"cpus", introduction.cpus},
                        {"cores", introduction.cores}}
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Result<Introduction> decode_introduction(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return Introduction{json.at("node"), json.at("node_rank"), json.at("host"),
                        json.at("public_key"), json.at("cpus"), json.at("cores")};
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, "a rank introduced itself as nobody: {}", error.what()));
  }
}

std::vector<RankRole> plan_ranks(const std::vector<Introduction>& ranks, const RankWishes& wishes) {
  std::vector<RankRole> roles(ranks.size());
  std::map<int, std::size_t> ranks_of_node;
  for (const Introduction& one : ranks) ++ranks_of_node[one.node];
  std::map<int, std::vector<std::size_t>> workers_of_node;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    roles[rank].leads = rank == 0;
    roles[rank].works = rank > 0 || wishes.rank_0_works || ranks_of_node[ranks[0].node] == 1;
    if (roles[rank].works) workers_of_node[ranks[rank].node].push_back(rank);
  }
  for (const auto& [node, workers] : workers_of_node) {
    for (std::size_t index = 0; index < workers.size(); ++index) {
      const std::size_t rank = workers[index];
      const std::string host = host_word(ranks[rank].host);
      RankRole& role = roles[rank];
      role.worker = fmt::format("{}-{}", host, rank);
      role.folder = fmt::format("{}-{}", host, index);
      role.device = device_of(wishes.device, index);
      role.threads_per_lane =
          wishes.threads_per_lane > 0 ? wishes.threads_per_lane : threads_of(ranks, workers, rank, wishes.lanes);
    }
  }
  return roles;
}

bool on_one_host(const std::vector<Introduction>& ranks) {
  return std::all_of(ranks.begin(), ranks.end(), [&](const Introduction& one) { return one.node == ranks[0].node; });
}

}  // namespace kiln::cli
