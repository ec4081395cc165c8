#include "lane/gpu/communicator.h"

#include <algorithm>
#include <utility>

namespace kiln::lane {
namespace {

// Blocks of a card that move data. A few keep a broadcast well ahead of the host's link, and each holds buffers on the card.
constexpr int kCtas = 8;

}  // namespace

Result<std::string> Communicator::make_id(const NcclLibrary& library) {
  NcclId id;
  KILN_TRY(library.check(library.functions().make_id(&id), "ncclGetUniqueId"));
  return std::string(id.bytes.data(), id.bytes.size());
}

Result<std::unique_ptr<Communicator>> Communicator::begin(std::shared_ptr<const NcclLibrary> library, const std::string& id,
                                                          int rank, int ranks) {
  NcclId given;
  if (id.size() != given.bytes.size()) return fail(make_error(ErrorCode::kDataLoss, "an identity of {} bytes", id.size()));
  std::copy(id.begin(), id.end(), given.bytes.begin());
  NcclConfig config;
  config.max_ctas = kCtas;
  std::unique_ptr<Communicator> out(new Communicator());
  out->library_ = std::move(library);
  out->rank_ = rank;
  const auto code = out->library_->functions().begin(&out->comm_, ranks, given, rank, &config);
  KILN_TRY(out->library_->check(code, "ncclCommInitRankConfig"));
  return out;
}

Result<bool> Communicator::is_ready() {
  if (comm_ == nullptr) return fail(make_error(ErrorCode::kCancelled, "the group is over"));
  int state = NcclLibrary::kInProgress;
  KILN_TRY(library_->check(library_->functions().state(comm_, &state), "ncclCommGetAsyncError"));
  KILN_TRY(library_->check(state, "NCCL"));
  return state == NcclLibrary::kSuccess;
}

Status Communicator::broadcast(std::span<const Range> ranges, CUstream_st* stream) {
  const NcclFunctions& nccl = library_->functions();
  KILN_TRY(library_->check(nccl.group_start(), "ncclGroupStart"));
  int failed = NcclLibrary::kSuccess;
  for (const Range& range : ranges) {
    const int code = nccl.broadcast(range.data, range.data, range.bytes, NcclLibrary::kBytes, 0, comm_, stream);
    if (code != NcclLibrary::kSuccess && code != NcclLibrary::kInProgress) failed = code;
  }
  const Status ended = library_->check(nccl.group_end(), "ncclGroupEnd");
  KILN_TRY(library_->check(failed, "ncclBroadcast"));
  return ended;
}

void Communicator::abort() {
  if (ncclComm* comm = std::exchange(comm_, nullptr); comm != nullptr) library_->functions().abort(comm);
}

}  // namespace kiln::lane
