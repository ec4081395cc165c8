#include "worker/artifact_builder.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <mutex>

#include "base/check.h"
#include "base/log.h"
#include "base/sealed_file.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/pt2_archive.h"
#include "worker/artifact_maker.h"
#include "worker/compiled_outputs.h"

namespace kiln::worker {
namespace {

enum class KeyState { kPending, kDelivered, kFailed };

struct GraphText {
  Mapping pt2;
  std::string_view json;  // into pt2
};

Result<GraphText> read_graph(const ArtifactRequest& request) {
  GraphText text;
  KILN_TRY_ASSIGN(text.pt2, Mapping::map(request.pt2_fd));
  KILN_TRY_ASSIGN(text.json, sharding::read_pt2_graph(text.pt2.bytes()));
  return text;
}

}  // namespace

struct ArtifactBuilder::Impl {
  Impl(ArtifactBuilderOptions builder_options, cache::Store& builder_store, const cache::SigningKey& builder_key)
      : options(std::move(builder_options)),
        context{&options, &builder_store, &builder_key},
        ready(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    KILN_CHECK(ready.valid(), "eventfd: {}", errno);
    CompileChildOptions child_options = options.child;
    if (child_options.torch_git.empty()) child_options.torch_git = options.toolchain.torch_git;
    if (child_options.recipe_sha256.empty()) child_options.recipe_sha256 = options.toolchain.recipe_sha256;
    if (child_options.warm_isa == sharding::IsaLevel::kNone) child_options.warm_isa = options.target.isa;
    child = std::make_unique<CompileChild>(std::move(child_options));
  }

  sharding::CompileKey make_key(const ArtifactRequest& request, std::string_view json) const {
    sharding::CompileKeyInputs inputs;
    inputs.graph_sha256 = sha256(json).hex();
    inputs.component = request.component;
    inputs.bucket.inputs = request.inputs;
    inputs.settings = request.settings;
    inputs.target = options.target;
    inputs.toolchain = options.toolchain;
    return sharding::make_compile_key(inputs);
  }

  // Called from the owner's thread and from the child's.
  void deliver(const Digest& key, Result<std::shared_ptr<const ReadyArtifact>> artifact) {
    const std::lock_guard lock(mutex);
    tickets.erase(key);
    states[key] = artifact ? KeyState::kDelivered : KeyState::kFailed;
    if (!artifact) {
      ++stats.failures;
    } else {
      ++((*artifact)->source == ArtifactSource::kStore ? stats.store_hits : stats.compiles);
    }
    outcomes.push_back({key, std::move(artifact)});
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(ready.get(), &one, sizeof one);
  }

  // True when the key is new, or failed before: the caller then has to bring it to an outcome.
  bool claim(const Digest& key) {
    const std::lock_guard lock(mutex);
    const auto [state, is_new] = states.try_emplace(key, KeyState::kPending);
    if (!is_new && state->second != KeyState::kFailed) return false;
    state->second = KeyState::kPending;
    return true;
  }

  Status start_compile(const ArtifactRequest& request, const sharding::CompileKey& key, std::string_view json) {
    // Checked here, in C++, before Python sees it: torch's reader evaluates expressions.
    KILN_TRY_ASSIGN(auto graph, sharding::parse_exported_graph(json, request.origin));
    const auto shared_graph = std::make_shared<const sharding::ExportedGraph>(std::move(graph));
    CompileRequest compile{std::string(json), request.inputs, request.settings, options.target.isa};
    auto done = [this, key, shared_graph, inputs = request.inputs](Result<CompiledLibrary> made) {
      deliver(key.digest, finish(key, *shared_graph, inputs, std::move(made)));
    };
    const std::lock_guard lock(mutex);  // the answer may come before the ticket is noted
    KILN_TRY_ASSIGN(tickets[key.digest], child->submit(std::move(compile), std::move(done)));
    return {};
  }

  Result<std::shared_ptr<const ReadyArtifact>> finish(const sharding::CompileKey& key,
                                                      const sharding::ExportedGraph& graph,
                                                      const std::vector<sharding::TensorSpec>& inputs,
                                                      Result<CompiledLibrary> made) const {
    if (!made) return fail(made.error());
    KILN_TRY(settle_outputs(graph, inputs, made->outputs));
    return make_artifact(context, key, inputs, std::move(*made));
  }

  const ArtifactBuilderOptions options;
  const MakerContext context;
  UniqueFd ready;
  mutable std::mutex mutex;
  std::map<Digest, KeyState> states;
  std::map<Digest, CompileTicket> tickets;
  std::deque<ArtifactOutcome> outcomes;
  ArtifactBuilderStats stats;
  std::unique_ptr<CompileChild> child;  // last: its end delivers what is pending into the rest
};

ArtifactBuilder::ArtifactBuilder(ArtifactBuilderOptions options, cache::Store& store,
                                 const cache::SigningKey& signing_key)
    : impl_(std::make_unique<Impl>(std::move(options), store, signing_key)) {}
ArtifactBuilder::~ArtifactBuilder() = default;

Result<sharding::CompileKey> ArtifactBuilder::key_for(const ArtifactRequest& request) const {
  KILN_TRY_ASSIGN(const GraphText text, read_graph(request));
  return impl_->make_key(request, text.json);
}

Result<Digest> ArtifactBuilder::request(const ArtifactRequest& request) {
  if (impl_->options.target.isa == sharding::IsaLevel::kNone) {
    return fail(make_error(ErrorCode::kUnimplemented, "nothing is compiled for processors below x86-64-v3"));
  }
  KILN_TRY_ASSIGN(const GraphText text, read_graph(request));
  const sharding::CompileKey key = impl_->make_key(request, text.json);
  if (!impl_->claim(key.digest)) return key.digest;
  auto stored = find_artifact(*impl_->context.store, key);
  if (!stored || *stored != nullptr) {
    impl_->deliver(key.digest, std::move(stored));
    return key.digest;
  }
  if (auto started = impl_->start_compile(request, key, text.json); !started) {
    impl_->deliver(key.digest, fail(started.error()));
  }
  return key.digest;
}

void ArtifactBuilder::warm_up() { impl_->child->warm_up(); }
int ArtifactBuilder::ready_fd() const { return impl_->ready.get(); }

std::vector<ArtifactOutcome> ArtifactBuilder::take() {
  const std::lock_guard lock(impl_->mutex);
  std::uint64_t count = 0;
  while (::read(impl_->ready.get(), &count, sizeof count) > 0) {
  }
  std::vector<ArtifactOutcome> outcomes;
  for (auto& outcome : impl_->outcomes) outcomes.push_back(std::move(outcome));
  impl_->outcomes.clear();
  return outcomes;
}

std::size_t ArtifactBuilder::pending() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->tickets.size();
}

void ArtifactBuilder::cancel_pending() {
  std::map<Digest, CompileTicket> tickets;
  {
    const std::lock_guard lock(impl_->mutex);
    tickets = impl_->tickets;
  }
  for (const auto& [key, ticket] : tickets) impl_->child->cancel(ticket);
}

ArtifactBuilderStats ArtifactBuilder::stats() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->stats;
}

CompileChildStats ArtifactBuilder::child_stats() const { return impl_->child->stats(); }

}  // namespace kiln::worker
