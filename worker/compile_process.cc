#include "worker/compile_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>

#include "base/log.h"
#include "base/text.h"
#include "worker/lane_process.h"
#include "worker/process_memory.h"

namespace kiln::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRequestFd = 3;  // in the child
constexpr int kReplyFd = 4;

bool holds_python(const std::filesystem::path& prefix) {
  std::error_code error;
  if (std::filesystem::exists(prefix / "pyvenv.cfg", error)) return true;
  std::filesystem::directory_iterator entries(prefix / "lib", error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    if (entries->path().filename().string().starts_with("python3")) return true;
  }
  return false;
}

// Also where links lead: a venv's interpreter is a link into the installation that it was made from.
void add_prefixes(const std::string& program, std::vector<std::string>& folders) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const fs::path& path : {fs::path(program), fs::canonical(program, error)}) {
    const fs::path folder = path.parent_path();
    // A link in ~/bin must not make all of the home readable.
    folders.push_back(holds_python(folder.parent_path()) ? folder.parent_path().string() : folder.string());
  }
}

// All cards': which of them the child sees is said by its environment, and a driver asks for those files by number.
std::vector<std::string> card_device_files() {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::directory_iterator entries("/dev", error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    if (entries->path().filename().string().starts_with("nvidia")) files.push_back(entries->path().string());
  }
  return files;
}

// The headers of CUDA come from the wheels beside torch: a machine's own toolkit is of another version. Those of the
// runtime name some that only Triton's wheel has.
void add_cuda_headers(const CompileChildOptions& options, std::vector<std::pair<std::string, std::string>>& environment) {
  const std::filesystem::path wheels = std::filesystem::path(options.torch_folder).parent_path();
  environment.emplace_back("CUDA_HOME", (wheels / "nvidia" / "cu13").string());
  environment.emplace_back("CUDA_INC_PATH", (wheels / "triton" / "backends" / "nvidia" / "include").string());
}

ConfinementFolders folders_of(const CompileChildOptions& options) {
  ConfinementFolders folders;
  folders.writable = options.work_folder;  // a link is followed once, here
  folders.readable = {options.package_folder};
  if (!options.torch_folder.empty()) {  // site-packages: torch needs its neighbours
    folders.readable.push_back(std::filesystem::path(options.torch_folder).parent_path().string());
  }
  if (!options.python.empty()) add_prefixes(options.python, folders.readable);
  if (options.device != "cpu") folders.devices = options.cards.empty() ? card_device_files() : options.cards;
  return folders;
}

// Nothing of our own environment: no token, no proxy, no setting of torch that would shape code.
std::vector<std::pair<std::string, std::string>> environment_of(const CompileChildOptions& options) {
  std::vector<std::pair<std::string, std::string>> environment{
          {"PATH", std::string(kCompilerPath)},
          {"HOME", options.work_folder},
          {"TMPDIR", options.work_folder + "/tmp"},
          {"LC_ALL", "C.UTF-8"},
          {"OMP_NUM_THREADS", "1"},
          {"CUDA_VISIBLE_DEVICES", options.device == "cpu" ? "" : options.visible_card},
          {"TORCHINDUCTOR_CACHE_DIR", options.work_folder + "/cache"},
          {"TORCHINDUCTOR_COMPILE_THREADS", "1"},
          {"TORCHINDUCTOR_VEC_ISA_OK", "1"}};
  if (options.device != "cpu") {
    environment.emplace_back("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    if (options.memory_fraction < 1.0) environment.emplace_back(kAllocatorVariable, allocator_limit(options.memory_fraction));
    add_cuda_headers(options, environment);
  }
  return environment;
}

std::vector<std::string> command_of(const CompileChildOptions& options) {
  std::vector<std::string> argv = options.command;
  if (argv.empty()) argv = {options.python, "-I", "-B", options.package_folder + "/kiln_compile/__main__.py"};
  argv.push_back(std::to_string(kRequestFd));
  argv.push_back(std::to_string(kReplyFd));
  argv.push_back(encode_child_options(options));
  return argv;
}

Status write_source(const std::string& path, const std::string& text) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return fail(errno_error(errno, "'" + path + "'"));
  return write_fully(file.get(), std::as_bytes(std::span(text)));
}

// Writes what is to be compiled where the child reads it; the line that asks for it.
Result<std::string> write_request(const CompileRequest& request, std::uint64_t id, const CompileChildOptions& options) {
  const std::string path = options.work_folder + (request.kernels ? "/kernels.cu" : "/graph.json");
  KILN_TRY(write_source(path, request.kernels ? request.kernels->source : request.graph_json));
  if (request.kernels) return encode_kernel_request(*request.kernels, id, path);
  return encode_compile_request(request, id, path, options.threads);
}

}  // namespace

Result<std::unique_ptr<CompileProcess>> CompileProcess::start(const CompileChildOptions& options,
                                                              const StopSignal& stop) {
  KILN_TRY_ASSIGN(WorkFolder folder, WorkFolder::open(options.work_folder));
  std::unique_ptr<CompileProcess> process(new CompileProcess(options));
  process->options_.work_folder = folder.path();
  process->folder_.emplace(std::move(folder));
  KILN_TRY(process->spawn());
  KILN_TRY(process->expect_hello(stop));
  return process;
}

Status CompileProcess::spawn() {
  KILN_TRY_ASSIGN(Confinement confinement, Confinement::prepare(folders_of(options_)));
  confinement_.emplace(std::move(confinement));
  KILN_TRY_ASSIGN(Pipe requests, make_pipe());
  KILN_TRY_ASSIGN(Pipe replies, make_pipe());
  const std::string log_path = options_.work_folder + "/child.log";
  UniqueFd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600));
  if (!log.valid()) return fail(errno_error(errno, "'" + log_path + "'"));

  SpawnOptions spawn;
  spawn.argv = command_of(options_);
  spawn.clear_env = true;
  spawn.set_env = environment_of(options_);
  spawn.working_directory = options_.work_folder;
  spawn.stdout_fd = log.get();
  spawn.stderr_fd = log.get();
  spawn.inherit = {{requests.read_end.get(), kRequestFd}, {replies.write_end.get(), kReplyFd}};
  spawn.nice = options_.nice;
  spawn.before_exec = [this] {
    confinement_->enter();
    return true;
  };
  KILN_TRY_ASSIGN(process_, ChildProcess::spawn(spawn));
  requests_ = std::move(requests.write_end);
  replies_ = std::move(replies.read_end);
  return {};
}

Status CompileProcess::expect_hello(const StopSignal& stop) {
  KILN_TRY_ASSIGN(const ChildReply reply, await_reply(options_.hello_deadline, stop));
  const auto* hello = std::get_if<ChildHello>(&reply);
  if (hello == nullptr || hello->protocol != kCompileProtocol) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "the compile child is of another version; python/ and kiln must be of one build"));
  }
  if (!options_.torch_git.empty() && hello->torch_git != options_.torch_git) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "the compile child has torch {}, artifacts are made for {}", hello->torch_git,
                           options_.torch_git));
  }
  if (!options_.recipe_sha256.empty() && hello->recipe_sha256 != options_.recipe_sha256) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "the sources of the compile child were changed under this command; run it again"));
  }
  return {};
}

tl::expected<CompiledLibrary, CompileProcess::Failure> CompileProcess::compile(const CompileRequest& request,
                                                                               std::uint64_t id,
                                                                               const StopSignal& stop) {
  const auto lost = [](Error error) { return tl::unexpected(Failure{std::move(error), false}); };
  peak_rss_bytes_ = 0;
  const auto line = write_request(request, id, options_);
  if (!line) return lost(line.error());
  if (!write_fully(requests_.get(), std::as_bytes(std::span(*line)))) return lost(death_error());
  auto reply = await_reply(options_.compile_deadline, stop);
  if (!reply) return lost(reply.error());
  if (auto* refusal = std::get_if<ChildError>(&*reply); refusal != nullptr && refusal->id == id) {
    return tl::unexpected(Failure{make_error(ErrorCode::kInternal, "{}", refusal->message), true});
  }
  auto* done = std::get_if<ChildDone>(&*reply);
  if (done == nullptr || done->id != id) {
    return lost(make_error(ErrorCode::kDataLoss, "the compile child answered something that was not asked"));
  }
  auto library = take_library(std::move(*done), request.kernels ? "kernels.cubin" : "model.so");
  if (!library) return lost(library.error());
  return std::move(*library);
}

Result<CompiledLibrary> CompileProcess::take_library(ChildDone done, std::string_view name) {
  const std::string expected = fmt::format("{}/request/{}", options_.work_folder, name);
  if (done.library_path != expected) {
    return fail(make_error(ErrorCode::kDataLoss, "the compile child names a file that is not its to name"));
  }
  // The child may not put a link or a pipe there: it could not read the target, but we could.
  UniqueFd file(::open(expected.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info{};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return fail(errno_error(errno, "'" + expected + "'"));
  if (!S_ISREG(info.st_mode)) {
    return fail(make_error(ErrorCode::kDataLoss, "'{}' is no regular file", expected));
  }
  KILN_TRY_ASSIGN(done.result.library, read_to_end(file.get(), kCompiledLibraryBytesMax));
  done.result.compile_peak_rss_bytes = peak_rss_bytes_;
  return std::move(done.result);
}

Result<ChildReply> CompileProcess::await_reply(std::chrono::milliseconds deadline, const StopSignal& stop) {
  const auto until = Clock::now() + deadline;
  while (true) {
    KILN_TRY_ASSIGN(std::optional<ChildReply> reply, next_line());
    if (reply) return std::move(*reply);
    if (stop.asked != nullptr && *stop.asked) return fail(make_error(ErrorCode::kCancelled, "cancelled"));
    if (Clock::now() >= until) {
      return fail(make_error(ErrorCode::kDeadlineExceeded, "the compile child took longer than {} s and was ended",
                             std::chrono::duration_cast<std::chrono::seconds>(deadline).count()));
    }
    KILN_TRY(watch_memory());
    std::array<pollfd, 2> polls{{{replies_.get(), POLLIN, 0}, {stop.wake_fd, POLLIN, 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    const auto wait = std::clamp(left, std::chrono::milliseconds(1), kMemoryWatchInterval);
    if (::poll(polls.data(), polls.size(), static_cast<int>(wait.count())) < 0 && errno != EINTR) {
      return fail(errno_error(errno, "poll"));
    }
    if (polls[0].revents != 0) KILN_TRY(read_more());
  }
}

Result<std::optional<ChildReply>> CompileProcess::next_line() {
  while (true) {
    const auto end = buffer_.find('\n');
    if (end == std::string::npos) return std::optional<ChildReply>();
    const std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    KILN_TRY_ASSIGN(ChildReply reply, decode_child_reply(line));
    const auto* progress = std::get_if<ChildProgress>(&reply);
    if (progress == nullptr) return std::optional<ChildReply>(std::move(reply));
    log::debug("compile child: {}", progress->text);
  }
}

Status CompileProcess::read_more() {
  std::array<char, 65536> bytes{};
  const ssize_t n = ::read(replies_.get(), bytes.data(), bytes.size());
  if (n < 0 && errno == EINTR) return {};
  if (n <= 0) return fail(death_error());
  buffer_.append(bytes.data(), static_cast<std::size_t>(n));
  if (buffer_.size() > kReplyLineBytesMax) {
    return fail(make_error(ErrorCode::kDataLoss, "the compile child answered nonsense: a line of more than {}",
                           format_bytes(kReplyLineBytesMax)));
  }
  return {};
}

Status CompileProcess::watch_memory() {
  const auto [resident, whole] = memory_of_tree(process_.pid());
  peak_rss_bytes_ = std::max(peak_rss_bytes_, resident);
  if (!whole) {
    return fail(make_error(ErrorCode::kResourceExhausted,
                           "compiling started {} processes or more, of which no more are watched, and was ended",
                           kWatchedProcessesMax));
  }
  if (resident <= options_.memory_limit_bytes) return {};
  return fail(make_error(ErrorCode::kResourceExhausted,
                         "compiling took {} of memory, more than the limit of {}, and was ended",
                         format_bytes(resident), format_bytes(options_.memory_limit_bytes)));
}

Error CompileProcess::death_error() {
  constexpr std::chrono::milliseconds kGrace{2000};  // its end of the pipe closes a moment before it ends
  const auto status = process_.wait_for(kGrace);
  const bool ended = status && status->has_value();
  return make_error(ErrorCode::kAborted, "the compile child ended: {}{}",
                    ended ? (*status)->describe() : "it closed its connection", log_tail());
}

std::string CompileProcess::log_tail() const {
  UniqueFd file(::open((options_.work_folder + "/child.log").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return {};
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  ::lseek(file.get(), std::max<off_t>(0, size - static_cast<off_t>(kChildLogTailBytes)), SEEK_SET);
  const auto text = read_to_end(file.get(), 2 * kChildLogTailBytes);
  if (!text) return {};
  const auto lines = split(trim(*text), '\n');
  std::string last(lines.empty() ? std::string_view() : trim(lines.back()));
  std::replace_if(last.begin(), last.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  return last.empty() ? last : "; its last words: " + last;
}

bool CompileProcess::healthy() {
  pollfd ready{replies_.get(), POLLIN, 0};
  while (::poll(&ready, 1, 0) > 0) {
    if (!read_more()) return false;
  }
  const auto unasked = next_line();
  return unasked && !unasked->has_value() && process_.running();
}

}  // namespace kiln::worker
