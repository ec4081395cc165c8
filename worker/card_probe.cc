#include "worker/card_probe.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <future>
#include <iterator>
#include <optional>
#include <thread>

#include "base/fd.h"
#include "base/text.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kSysFileBytesMax = 64U << 10U;
constexpr int kCoresMax = 8'192;
// CUDA 13 has no code for what came before Turing, and a torch that is built with it neither.
constexpr int kLeanCudaMajor = 13;
constexpr ComputeCapability kLeanLeast{7, 5};

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

struct Answer {
  Result<CardList> list = CardList{};
  std::vector<std::string> said;
};

Answer ask_driver(const std::string& library) {
  Answer answer;
  auto driver = open_nvml(library);
  if (driver) {
    answer.list = list_cards(**driver, answer.said);
  } else {
    answer.list = fail(driver.error());
  }
  return answer;
}

}  // namespace

std::string arch_name(ComputeCapability capability) { return fmt::format("sm_{}{}", capability.major, capability.minor); }

bool has_fp8(ComputeCapability capability) { return capability >= kFp8Least; }

std::string pci_name(const PciPlace& place) {
  return fmt::format("{:04x}:{:02x}:{:02x}.0", place.domain, place.bus, place.device);
}

std::string to_string(CudaVersion version) {
  return version == CudaVersion{} ? std::string() : fmt::format("{}.{}", version.major, version.minor);
}

CudaVersion parse_cuda_version(std::string_view text) {
  const auto parts = split(trim(text), '.');
  if (parts.size() < 2) return {};
  const auto major = whole_number(parts[0]);
  const auto minor = whole_number(parts[1]);
  return major && minor ? CudaVersion{*major, *minor} : CudaVersion{};
}

Result<std::vector<int>> parse_core_list(std::string_view text) {
  std::vector<int> cores;
  if (trim(text).empty()) return cores;  // a node without cores
  for (const std::string_view part : split(trim(text), ',')) {
    const auto dash = part.find('-');
    const auto first = whole_number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : whole_number(part.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last >= kCoresMax) {
      return fail(make_error(ErrorCode::kDataLoss, "'{}' is no list of cores", one_line(std::string(trim(text)))));
    }
    for (int core = *first; core <= *last; ++core) cores.push_back(core);
  }
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  return cores;
}

std::vector<int> shared_cores(const std::vector<int>& cores, const std::vector<int>& allowed) {
  std::vector<int> both;
  std::copy_if(cores.begin(), cores.end(), std::back_inserter(both),
               [&](int core) { return std::binary_search(allowed.begin(), allowed.end(), core); });
  return both;
}

// Within one major version of CUDA a program runs on drivers of every minor one.
std::string driver_misfit(const CardList& list, TorchCuda torch) {
  if (!torch) return {};
  if (*torch == CudaVersion{}) return "the installed torch has no CUDA; install the one that scripts/setup installs";
  if (list.cuda.major >= torch->major) return {};
  return fmt::format("NVIDIA driver {} can run CUDA {} at most, and the installed torch needs CUDA {}: install a newer driver",
                     list.driver, to_string(list.cuda), to_string(*torch));
}

std::string card_misfit(const Card& card, TorchCuda torch) {
  if (!torch || torch->major < kLeanCudaMajor || card.capability >= kLeanLeast) return {};
  return fmt::format("card {} ({}) is {}: CUDA {} runs on {} and newer", card.index, card.name, arch_name(card.capability),
                     to_string(*torch), arch_name(kLeanLeast));
}

void find_cores(Card& card, const std::string& sys, const std::vector<int>& allowed) {
  const auto node_text = read_file(fmt::format("{}/bus/pci/devices/{}/numa_node", sys, pci_name(card.pci)), kSysFileBytesMax);
  const auto node = node_text ? whole_number(trim(*node_text)) : std::nullopt;
  if (!node || *node < 0) return;  // -1: a machine that is one node, or does not say
  card.numa_node = *node;
  const auto list = read_file(fmt::format("{}/devices/system/node/node{}/cpulist", sys, *node), kSysFileBytesMax);
  if (!list) return;
  if (const auto cores = parse_core_list(*list)) card.cores = shared_cores(*cores, allowed);
}

Result<CardList> list_cards(CardDriver& driver, std::vector<std::string>& said) {
  CardList list;
  KILN_TRY_ASSIGN(list.driver, driver.driver_version());
  KILN_TRY_ASSIGN(list.cuda, driver.cuda_version());
  KILN_TRY_ASSIGN(unsigned count, driver.card_count());
  if (count > kCardsMax) {
    said.push_back(fmt::format("{} cards here; the first {} are looked at", count, kCardsMax));
    count = kCardsMax;
  }
  for (unsigned index = 0; index < count; ++index) {
    auto card = driver.card(index);
    if (card) {
      list.cards.push_back(std::move(*card));
    } else {
      said.push_back(card.error().message);
    }
  }
  return list;
}

Result<CardList> probe_cards(const CardProbe& probe, std::vector<std::string>& said) {
  std::promise<Answer> promise;
  auto answer = promise.get_future();
  // Nothing can call a thread back out of the driver: one that stays there is left behind.
  std::thread([library = probe.library, promise = std::move(promise)]() mutable {
    promise.set_value(ask_driver(library));
  }).detach();
  if (answer.wait_for(probe.deadline) != std::future_status::ready) {
    return fail(make_error(ErrorCode::kDeadlineExceeded,
                           "the NVIDIA driver does not answer ({} ms): see what the kernel's log says of its cards",
                           probe.deadline.count()));
  }
  Answer got = answer.get();
  said.insert(said.end(), got.said.begin(), got.said.end());
  KILN_TRY_ASSIGN(CardList list, std::move(got.list));
  const std::vector<int> allowed = allowed_cores();
  for (Card& card : list.cards) find_cores(card, probe.sys, allowed);
  return list;
}

std::string describe(const Card& card) {
  std::string text = fmt::format("card {}, {} ({}), {} of {} free", card.index, card.name, arch_name(card.capability),
                                 format_bytes(card.free_bytes), format_bytes(card.memory_bytes));
  if (card.numa_node >= 0) text += fmt::format(", NUMA node {} with {} cores", card.numa_node, card.cores.size());
  return text;
}

std::vector<int> allowed_cores() {
  std::vector<int> cores;
  const std::size_t bytes = CPU_ALLOC_SIZE(kCoresMax);
  cpu_set_t* set = CPU_ALLOC(kCoresMax);
  if (set == nullptr) return cores;
  if (::sched_getaffinity(0, bytes, set) == 0) {
    for (int core = 0; core < kCoresMax; ++core) {
      if (CPU_ISSET_S(core, bytes, set)) cores.push_back(core);
    }
  }
  CPU_FREE(set);
  return cores;
}

}  // namespace kiln::worker
