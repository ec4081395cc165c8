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

std::string device_of(const std::string& wished, const Introduction& rank, std::set<std::string>& taken) {
  if (wished != "cuda") return wished;
  const auto card = std::find_if(rank.cards.begin(), rank.cards.end(),
                                 [&](const SeenCard& one) { return !taken.contains(one.uuid); });
  if (card == rank.cards.end()) return {};
  taken.insert(card->uuid);
  return fmt::format("cuda:{}", card->number);
}

nlohmann::json to_json(const std::vector<SeenCard>& cards) {
  nlohmann::json out = nlohmann::json::array();
  for (const SeenCard& card : cards) out.push_back({card.number, card.uuid});
  return out;
}

std::vector<SeenCard> cards_of(const nlohmann::json& json) {
  std::vector<SeenCard> out;
  for (const auto& card : json) out.push_back({card.at(0), card.at(1)});
  return out;
}

}  // namespace

std::string encode(const Introduction& introduction) {
  return nlohmann::json{{"node", introduction.node},
                        {"node_rank", introduction.node_rank},
                        {"host", introduction.host},
                        {"public_key", introduction.public_key},
                        {"cpus", introduction.cpus},
                        {"cores", introduction.cores},
                        {"cards", to_json(introduction.cards)},
                        {"no_cards", introduction.no_cards}}
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Result<Introduction> decode_introduction(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return Introduction{json.at("node"),  json.at("node_rank"), json.at("host"),
                        json.at("public_key"), json.at("cpus"),  json.at("cores"),
                        cards_of(json.at("cards")), json.at("no_cards")};
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
    std::set<std::string> taken;
    for (std::size_t index = 0; index < workers.size(); ++index) {
      const std::size_t rank = workers[index];
      const std::string host = host_word(ranks[rank].host);
      RankRole& role = roles[rank];
      role.worker = fmt::format("{}-{}", host, rank);
      role.folder = fmt::format("{}-{}", host, index);
      role.device = device_of(wishes.device, ranks[rank], taken);
      role.threads_per_lane =
          wishes.threads_per_lane > 0 ? wishes.threads_per_lane : threads_of(ranks, workers, rank, wishes.lanes);
    }
  }
  return roles;
}

Status check_devices(const std::vector<Introduction>& ranks, const std::vector<RankRole>& roles) {
  for (std::size_t rank = 0; rank < roles.size(); ++rank) {
    if (!roles[rank].works || !roles[rank].device.empty()) continue;
    const Introduction& one = ranks[rank];
    if (!one.no_cards.empty()) {
      return fail(make_error(ErrorCode::kNotFound, "rank {} on {} has no card: {}", rank, one.host, one.no_cards));
    }
    std::size_t workers = 0;
    std::set<std::string> cards;
    for (std::size_t other = 0; other < roles.size(); ++other) {
      if (ranks[other].node != one.node) continue;
      workers += roles[other].works ? 1U : 0U;
      for (const SeenCard& card : ranks[other].cards) cards.insert(card.uuid);
    }
    return fail(make_error(ErrorCode::kNotFound,
                           "no card is left for rank {}: on {} are {} workers, and they see {} card{}; start a rank for each card "
                           "(and one that leads, where rank 0 does not work), or use --device cpu",
                           rank, one.host, workers, cards.size(), cards.size() == 1 ? "" : "s"));
  }
  return {};
}

bool on_one_host(const std::vector<Introduction>& ranks) {
  return std::all_of(ranks.begin(), ranks.end(), [&](const Introduction& one) { return one.node == ranks[0].node; });
}

}  // namespace kiln::cli
