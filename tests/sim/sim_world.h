// The parts of a simulated farm and what connects them. Used inside tests/sim alone.
#pragma once

#include "tests/sim/sim_farm.h"
#include "tests/sim/sim_ledger.h"

namespace kiln::sim {

inline constexpr std::size_t kEventsKept = 200;  // of which a failure tells
inline constexpr double kUnixStartS = 1'000'000.0;
inline constexpr std::int64_t kGrantsLastS = 3600;

struct SimWorker {
  net::WorkerName name;
  int number = 0;
  int life = 0;        // of its process
  bool up = false;
  bool cut = false;    // nothing passes between it and the coordinator
  std::int64_t wall_ahead_s = 0;  // of its machine's clock
  int connections = 0;
  std::string connection;
  worker::WorkerState state;
  std::map<LaneId, int> lane_lives;
  std::map<worker::TaskKey, net::Assign> tasks;  // prepared or running, for their results
};

struct SimCoordinator {
  int life = 0;
  bool up = false;
  coordinator::FarmState state;
  std::vector<net::Fact> facts;  // all that it made; the disk has the first `durable` of them
  std::size_t durable = 0;
  Millis disk_busy_until{0};
  coordinator::EffectGate gate;
};

struct SimBlob {
  std::set<net::JobName> owners;
  bool fresh = true;  // just uploaded: not thrown away before the next look
};

class SimWorld {
 public:
  SimWorld(std::uint64_t seed, const SimProfile& profile);
  [[nodiscard]] SimResult run();

 private:
  // ---- time and chance (sim_world.cc) ----
  void at(Millis delay, std::function<void()> what);
  [[nodiscard]] std::int64_t below(std::int64_t bound);  // 0 … bound - 1
  [[nodiscard]] bool chance(int thousandths);
  [[nodiscard]] bool dies_here();  // whoever carries out an effect, after it
  void fill_disk();
  void note(const char* what, std::uint64_t a = 0, std::uint64_t b = 0);
  void wrong(const std::string& what);
  void each_second();
  void jump_clock();
  [[nodiscard]] bool faulty() const { return now_ < profile_.faults_last; }
  [[nodiscard]] bool all_ended() const;
  void check_end();
  [[nodiscard]] std::string why_open(const net::JobName& name);

  // ---- coordinator and clients (sim_coordinator.cc) ----
  coordinator::Durable replayed(const std::vector<net::Fact>& facts);
  void start_coordinator();
  void crash_coordinator();
  void apply(const coordinator::FarmEvent& event);
  void carry_out_ready();
  void carry_out(coordinator::FarmEffect& effect);
  void tick_coordinator();
  void submit(int number);
  void cancel_one();
  void evict();
  void check_against_journal();
  [[nodiscard]] coordinator::Moment moment() const;
  [[nodiscard]] worker::WorkerMoment moment(const SimWorker& one) const;

  // ---- workers (sim_worker.cc) ----
  void start_worker(SimWorker& one);
  void crash_worker(SimWorker& one);
  void stop_worker(SimWorker& one);
  void cut_off(SimWorker& one);
  void link(SimWorker& one, bool up);
  void feed(SimWorker& one, const worker::WorkerEvent& event);
  void tick_worker(SimWorker& one, int life);
  void carry_out(SimWorker& one, worker::WorkerEffect& effect);
  void prepare(SimWorker& one, const net::Assign& assign);
  void run_task(SimWorker& one, LaneId slot, const net::Assign& assign);
  [[nodiscard]] bool is_bad(const net::Assign& assign) const;
  void store(SimWorker& one, worker::TaskKey key, bool only_log);
  void later(SimWorker& one, Millis delay, worker::WorkerEvent event);
  [[nodiscard]] net::TaskResult result_of(const net::Assign& assign);
  [[nodiscard]] std::optional<std::string> missing_input(const net::Assign& assign) const;

  // ---- network (sim_world.cc) ----
  // How many copies of a message arrive, and when.
  [[nodiscard]] std::vector<Millis> arrivals(const SimWorker& one);
  void send_to_coordinator(SimWorker& one, const net::FromWorker& message);
  void send_to_worker(const std::string& connection, const net::ToWorker& message);

  struct Due {
    Millis time{0};
    std::uint64_t order = 0;
    std::function<void()> what;
    bool operator<(const Due& other) const { return time != other.time ? time > other.time : order > other.order; }
  };
  struct Noted {
    Millis time{0};
    const char* what = "";
    std::uint64_t a = 0;
    std::uint64_t b = 0;
  };

  SimProfile profile_;
  std::mt19937_64 random_;
  Millis now_{0};
  std::uint64_t order_ = 0;
  std::priority_queue<Due> due_;
  std::deque<Noted> noted_;
  SimResult result_;
  SimCoordinator coordinator_;
  std::int64_t coordinator_ahead_s_ = 0;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  std::map<std::string, SimBlob> blobs_;
  std::set<net::JobName> acknowledged_;
  Millis journal_full_until_{0};
  Millis store_full_until_{0};
  std::set<std::string> published_;  // artifact keys
  SimLedger ledger_;
};

}  // namespace kiln::sim
