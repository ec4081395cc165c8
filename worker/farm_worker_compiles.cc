// The worker's compile children: one for the CPU, or for each card one that sees that card alone.
#include "base/log.h"
#include "base/sealed_file.h"
#include "sharding/package/package_inputs.h"
#include "sharding/package/pt2_archive.h"
#include "worker/compiled_outputs.h"
#include "worker/farm_worker_impl.h"
#include "worker/fault_class.h"

namespace kiln::worker {
namespace {

constexpr double kBytesPerMib = 1024.0 * 1024.0;
// A child has modules of its own beside a context like a lane's; its allocator leaves them so much of a cap.
constexpr std::uint64_t kChildModulesBytes = 128ULL << 20U;

// For the card of that lane; one without a card: for the CPU.
CompileChildOptions child_options(const FarmWorkerOptions& options, std::size_t lane) {
  const ArtifactBuilderOptions& compiles = *options.compiles;
  CompileChildOptions child = compiles.child;
  child.torch_git = compiles.toolchain.torch_git;
  child.recipe_sha256 = compiles.toolchain.recipe_sha256;
  child.warm_isa = compiles.target.isa;
  const LanePlace& place = options.places.at(lane);
  if (place.card_uuid.empty()) return child;
  child.device = "cuda";
  child.visible_card = place.card_uuid;
  if (lane > 0) child.work_folder += fmt::format("-{}", lane);
  const double memory_bytes = static_cast<double>(options.identity.lanes.at(lane).card.memory_bytes);
  if (place.memory_fraction < 1.0 && memory_bytes > 0.0) {
    child.memory_fraction = std::max(0.0, place.memory_fraction - static_cast<double>(kChildModulesBytes) / memory_bytes);
  }
  return child;
}

Result<CompileRequest> compile_request(const TaskRun& run, const sharding::CompileTarget& target) {
  const auto& spec = std::get<net::CompileSpec>(run.assign.spec);
  const ModelPackage& package = *run.files.package;
  const ModelPackage::Graph& graph = *package.find_graph(spec.graph);
  KILN_TRY_ASSIGN(const Mapping pt2, Mapping::map(graph.pt2.get()));
  KILN_TRY_ASSIGN(const std::string_view json, sharding::read_pt2_graph(pt2.bytes()));
  CompileRequest request;
  KILN_TRY_ASSIGN(request.settings, sharding::compile_settings_of(spec.settings));
  request.graph_json = json;
  request.inputs =
      sharding::package_inputs(package.manifest, package.manifest.graphs[spec.graph].dtype, spec.height, spec.width);
  request.isa = target.isa;
  return request;
}

Status check_outputs(const TaskRun& run, CompiledLibrary& made) {
  const auto& spec = std::get<net::CompileSpec>(run.assign.spec);
  const ModelPackage& package = *run.files.package;
  const auto inputs =
      sharding::package_inputs(package.manifest, package.manifest.graphs[spec.graph].dtype, spec.height, spec.width);
  return settle_outputs(package.find_graph(spec.graph)->graph, inputs, made.outputs);
}

std::string mib(std::uint64_t bytes) { return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / kBytesPerMib); }

}  // namespace

CompileIdentities FarmWorker::Impl::compile_identities(const FarmWorkerOptions& options) {
  CompileIdentities out;
  if (!options.compiles) return out;
  for (std::size_t i = 0; i < options.identity.lanes.size(); ++i) {
    const net::LaneOffer& offer = options.identity.lanes[i];
    const bool has_card = !options.places.at(i).card_uuid.empty();
    CompileIdentity identity{options.compiles->target, options.compiles->toolchain, offer.kind.device_name};
    if (has_card) identity.target.arch = offer.kind.arch;
    out.emplace(has_card ? net::compile_lane(offer.lane) : kCompileSlot, std::move(identity));
  }
  return out;
}

void FarmWorker::Impl::make_children() {
  if (!options_.compiles) return;
  for (std::size_t i = 0; i < options_.identity.lanes.size(); ++i) {
    const bool has_card = !options_.places.at(i).card_uuid.empty();
    const LaneId place = has_card ? net::compile_lane(options_.identity.lanes[i].lane) : kCompileSlot;
    auto& child = children_[place];
    if (!child) child = std::make_unique<CompileChild>(child_options(options_, i));
  }
}

void FarmWorker::Impl::count_compile(const Result<CompiledLibrary>& made) {
  ++(made ? compiles_.made : compiles_.failed);
  if (made) return;
  if (made.error().code == ErrorCode::kDeadlineExceeded) ++compiles_.over_deadline;
  if (made.error().code == ErrorCode::kResourceExhausted) ++compiles_.over_memory;
}

void FarmWorker::Impl::compile(const RunPtr& run) {
  const TaskKey key = run->key();
  const LaneId place = run->slot;
  if (run->files.artifact) {  // the store has it: somebody was faster, or it was never gone
    not_running(place, key);
    ++compiles_.found;
    return post(RunDone{key});
  }
  auto request = compile_request(*run, options_.compiles->target);
  if (!request) {
    not_running(place, key);
    return run_failed(*run, fault_of(request.error()));
  }
  auto done = [this, place, key, begun = Clock::now()](Result<CompiledLibrary> made) {  // on the child's thread
    auto library = std::make_shared<Result<CompiledLibrary>>(std::move(made));
    mailbox_.post([this, place, key, library, spent = Clock::now() - begun] {
      compiles_.spent += std::chrono::duration_cast<std::chrono::milliseconds>(spent);
      compiled(place, key, library);
    });
  };
  const auto ticket = children_.at(place)->submit(std::move(*request), std::move(done));
  if (ticket) {
    run->ticket = *ticket;
  } else {
    not_running(place, key);
    run_failed(*run, fault_of(ticket.error()));
  }
}

void FarmWorker::Impl::compiled(LaneId place, TaskKey key, const std::shared_ptr<Result<CompiledLibrary>>& library) {
  not_running(place, key);
  count_compile(*library);
  const RunPtr run = find_run(key);
  if (!run) return;
  if (*library) {
    if (const Status right = check_outputs(*run, **library); !right) *library = fail(right.error());
  }
  if (!*library) return run_failed(*run, fault_of(library->error()));
  run->library = std::make_shared<const CompiledLibrary>(std::move(**library));
  const CompileMemory memory{run->library->card_context_bytes, run->library->card_reserved_bytes};
  if (memory.reserved_bytes > 0) {
    log::info("the compile child of lane {} took of its card: {} besides its allocator, {} there at the peak",
              net::lane_of_compiler(place).value, mib(memory.context_bytes), mib(memory.reserved_bytes));
  }
  post(RunDone{key, memory});
}

}  // namespace kiln::worker
