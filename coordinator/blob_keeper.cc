#include "coordinator/blob_keeper.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/wall_clock.h"
#include "net/http_client.h"

namespace kiln::coordinator {
namespace {

constexpr std::chrono::milliseconds kAgainAfter{1'000};
constexpr std::uint64_t kOwnersBytesMax = 64ULL << 20U;
constexpr std::string_view kScheme = "http://";

std::string host_of(const std::string& url) {
  return url.starts_with(kScheme) ? url.substr(kScheme.size()) : url;
}

Result<net::HttpClientOptions> client_options(const GrantIssuer& grants) {
  net::HttpClientOptions options;
  KILN_TRY_ASSIGN(options.server, net::parse_host_port(host_of(grants.store_url())));
  return options;
}

}  // namespace

BlobKeeper::BlobKeeper(const GrantIssuer& grants) : grants_(grants), thread_([this] { work(); }) {}

BlobKeeper::~BlobKeeper() { finish(); }

void BlobKeeper::finish() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BlobKeeper::keep(KeepBlobs needs) {
  {
    const std::lock_guard lock(mutex_);
    const net::JobName job = needs.job;
    due_[job] = std::move(needs);
  }
  wake_.notify_all();
}

std::uint64_t BlobKeeper::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

std::size_t BlobKeeper::waiting() const {
  const std::lock_guard lock(mutex_);
  return due_.size();
}

void BlobKeeper::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !due_.empty(); });
    if (due_.empty()) return;
    auto [job, needs] = std::move(*due_.begin());
    due_.erase(due_.begin());
    lock.unlock();
    const Status status = say(needs);
    lock.lock();
    if (status) failures_in_a_row_ = 0;
    if (status) continue;
    // One line when it begins: while the store is away this comes round every second.
    if (failures_in_a_row_++ == 0) log::warn("the store was not told what {} needs: {}", job, status.error().message);
    ++failures_;
    if (ending_) continue;  // a job that stays is told again at the next start; one that is gone leaves its pins behind
    due_.try_emplace(job, std::move(needs));  // unless something newer is due
    wake_.wait_for(lock, kAgainAfter, [this] { return ending_; });
  }
}

Status BlobKeeper::drop_others(const std::set<net::JobName>& jobs) {
  KILN_TRY_ASSIGN(const net::HttpClientOptions options, client_options(grants_));
  net::HttpClient client(options);
  KILN_TRY_ASSIGN(const net::HttpAnswer answer,
                  client.get("/pins/?" + grants_.for_pins({}, "GET", unix_seconds()), kOwnersBytesMax));
  const auto listed = nlohmann::json::parse(answer.body, nullptr, false);
  if (!listed.is_object() || !listed.contains("owners")) {
    return fail(make_error(ErrorCode::kDataLoss, "the store does not say who pins what"));
  }
  for (const nlohmann::json& owner : listed["owners"]) {
    if (!owner.is_string() || jobs.contains(owner.get<std::string>())) continue;
    log::info("{} is no job here: the store need not keep anything for it", owner.get<std::string>());
    keep({owner.get<std::string>(), {}});
  }
  return {};
}

Status BlobKeeper::say(const KeepBlobs& needs) const {
  KILN_TRY_ASSIGN(const net::HttpClientOptions options, client_options(grants_));
  net::HttpClient client(options);
  const bool gone = needs.sha256.empty() && needs.artifacts.empty();
  const std::string target = "/pins/" + needs.job + "?" + grants_.for_pins(needs.job, gone ? "DELETE" : "PUT", unix_seconds());
  if (gone) {
    KILN_TRY(client.remove(target));
    return {};
  }
  nlohmann::json list = {{"digests", needs.sha256}, {"artifacts", needs.artifacts}};
  if (needs.nothing_else) list["only"] = true;
  const std::string body = list.dump();
  KILN_TRY_ASSIGN(const net::HttpAnswer answer, client.send("PUT", target, body));
  log::debug("the store keeps {} blobs and {} artifacts for {}: {}", needs.sha256.size(), needs.artifacts.size(), needs.job,
             answer.body);
  return {};
}

}  // namespace kiln::coordinator
