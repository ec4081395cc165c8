// A real `kiln worker` with real lanes, under a coordinator of the test's making.
#include <gmock/gmock.h>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "tests/worker/farm/fake_farm.h"
#include "worker/process_memory.h"

namespace kiln::worker {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(FarmWorkerTest, ProbesRendersAndJoinsAClipOutOfTheStore) {
  start_worker();
  const net::WorkerHello& hello = coordinator_.hellos[0];
  EXPECT_EQ(hello.worker, "w1");
  ASSERT_THAT(hello.lanes, SizeIs(1));
  EXPECT_EQ(hello.lanes[0].kind.threads, 1);
  EXPECT_GT(hello.lanes[0].budget_bytes, 0U);

  probe(make_clip("clip.mkv", 20));
  EXPECT_EQ(probed_.frames, 20);
  EXPECT_EQ(probed_.width, 64);
  EXPECT_FALSE(probed_.tiles[0].graph_sha256.empty());
  EXPECT_GT(probed_.tiles[0].activation_bytes, 0U);
  EXPECT_THAT(store_.get(probed_.description), HasSubstr("\"path\":\"clip.mkv\""));  // and no address in it

  net::JoinSpec join;
  join.source = source_;
  join.output = output_;
  join.description = probed_.description;
  join.output_width = probed_.output_width;
  join.output_height = probed_.output_height;
  join.output_pixel_format = probed_.output_pixel_format;
  for (const auto& [first, last] : {std::pair{0, 12}, std::pair{12, 20}}) {
    const net::TaskDone done = run(assign(segment_spec(first, last)));
    const auto& result = std::get<net::SegmentResult>(done.result);
    EXPECT_EQ(result.first, first);
    EXPECT_EQ(result.last, last);
    EXPECT_EQ(result.frame_hashes.size(), static_cast<std::size_t>(last - first) * 16);
    EXPECT_EQ(store_.get(result.segment).size(), result.segment.bytes);
    EXPECT_GT(result.transfer_s, 0.0);
    EXPECT_THAT(store_.get(done.log), HasSubstr("worker w1, lane 0"));
    join.segments.push_back({result.segment, result.last - result.first});
  }
  const net::TaskDone joined = run(assign(join));
  const auto& result = std::get<net::JoinResult>(joined.result);
  EXPECT_EQ(result.frames, 20);
  std::ofstream(folder_ / "joined.mkv") << store_.get(result.output);
  EXPECT_EQ(std::system(fmt::format("test $(ffprobe -v error -count_packets -select_streams v -show_entries "
                                    "stream=nb_read_packets -of csv=p=0 '{}' | tr -d ,) = 20",
                                    folder_ / "joined.mkv").c_str()), 0);
}

TEST_F(FarmWorkerTest, ClipsInPlaceAreReadWhereTheyAre) {
  start_worker();
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  const net::TaskDone done = run(assign(net::ProbeSpec{source_, output_, {1ULL << 30U, 1ULL << 31U}}));
  probed_ = std::get<net::ProbeResult>(done.result);
  const auto for_a_budget = [](const net::TileChoice& tile) { return tile.budget_bytes >= 1ULL << 30U; };
  EXPECT_EQ(std::count_if(probed_.tiles.begin(), probed_.tiles.end(), for_a_budget), 1);  // both hold the same
  run(assign(segment_spec(0, 4)));
}

TEST_F(FarmWorkerTest, SegmentWhoseArtifactTheStoreLostIsRenderedUncompiledAndSaysSo) {
  start_worker();
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  probed_ = std::get<net::ProbeResult>(run(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}})).result);
  net::SegmentSpec segment = segment_spec(0, 4);
  segment.executor = "any";
  segment.artifact_key = std::string(64, 'b');  // nobody made that one
  for (const bool ready : {false, true}) {
    segment.artifact_ready = ready;
    const auto result = std::get<net::SegmentResult>(run(assign(segment)).result);
    EXPECT_EQ(result.frames_compiled, 0);
    EXPECT_EQ(result.artifact_lost, ready);
  }
}

TEST_F(FarmWorkerTest, TilesAreFoundAndRenderedInEveryDtypeThatIsAskedFor) {
  use_package("/half", {"float16", "bfloat16"});
  start_worker();
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  const net::TaskDone done = run(assign(net::ProbeSpec{source_, output_, {}, {"bfloat16", "float16"}, {1ULL << 30U}}));
  probed_ = std::get<net::ProbeResult>(done.result);
  std::erase_if(probed_.tiles, [](const net::TileChoice& tile) { return tile.budget_bytes != 1ULL << 30U; });  // smaller ones
  ASSERT_THAT(probed_.tiles, SizeIs(2));
  EXPECT_NE(probed_.tiles[0].graph_sha256, probed_.tiles[1].graph_sha256);
  std::vector<std::string> hashes;
  for (const net::TileChoice& tile : {probed_.tiles[1], probed_.tiles[0], probed_.tiles[1]}) {  // the lane loads it anew
    net::SegmentSpec segment = segment_spec(0, 4);
    segment.dtype = tile.dtype;
    hashes.push_back(std::get<net::SegmentResult>(run(assign(segment)).result).frame_hashes);
  }
  EXPECT_NE(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

TEST_F(FarmWorkerTest, OnACardWeightsRingsAndFramesCountInItsTiles) {
  use_package("/half", {"float16", "bfloat16"});
  start_worker();
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  const auto probe = [&](std::vector<std::uint64_t> budgets) {
    const net::TaskDone done = run(assign(net::ProbeSpec{source_, output_, {}, {"float16"}, std::move(budgets)}));
    return std::get<net::ProbeResult>(done.result);
  };
  const net::ProbeResult much = probe({1ULL << 30U, 1ULL << 36U});
  ASSERT_THAT(much.tiles, Not(IsEmpty()));
  net::TileChoice whole = much.tiles[0];
  EXPECT_GT(whole.card_bytes, whole.activation_bytes);
  EXPECT_EQ(std::count_if(much.tiles.begin(), much.tiles.end(), [&](const auto& tile) { return tile.height == whole.height; }), 1)
      << "the same tiles for both";
  while (whole.card_bytes < whole.budget_bytes) {  // with less room, rings are smaller
    const auto tiles = probe({whole.card_bytes}).tiles;
    ASSERT_THAT(tiles, Not(IsEmpty()));
    ASSERT_EQ(tiles[0].height * tiles[0].width, whole.height * whole.width);
    whole = tiles[0];
  }
  EXPECT_EQ(whole.card_bytes, whole.budget_bytes);
  for (const net::TileChoice& tile : probe({whole.card_bytes - 1}).tiles) {
    EXPECT_LT(tile.height * tile.width, whole.height * whole.width);
    EXPECT_LE(tile.card_bytes, tile.budget_bytes);
  }
  const net::ProbeResult none = probe({1U << 20U});
  EXPECT_THAT(none.tiles, SizeIs(0));
  EXPECT_THAT(none.no_tiles_reason, HasSubstr("of the card"));
}

TEST_F(FarmWorkerTest, SmallerTilesAreFoundForALaneThatTurnsOutToHaveLess) {
  start_worker();
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  const net::TaskDone done = run(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}}));
  const auto tiles = std::get<net::ProbeResult>(done.result).tiles;
  ASSERT_GE(tiles.size(), 2U);
  for (std::size_t i = 1; i < tiles.size(); ++i) {
    EXPECT_LE(tiles[i].activation_bytes, tiles[0].activation_bytes >> i);
    EXPECT_GT(tiles[i].computed_pixels, tiles[0].computed_pixels);
  }
}

TEST_F(FarmWorkerTest, NothingFitsIsSaidWithItsReason) {
  start_worker();
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  const net::TaskDone done = run(assign(net::ProbeSpec{source_, output_, {1}}));
  EXPECT_THAT(std::get<net::ProbeResult>(done.result).tiles, SizeIs(0));
  EXPECT_FALSE(std::get<net::ProbeResult>(done.result).no_tiles_reason.empty());
}

TEST_F(FarmWorkerTest, CardsOfAnotherKeyAreNotCompiledFor) {
  start_worker();
  net::CompileSpec spec;
  spec.key = std::string(64, 'a');
  spec.height = 36;
  spec.width = 64;
  const net::TaskFailed failed = run_failing(assign(spec));
  EXPECT_EQ(failed.fault.kind, net::FailureKind::kArtifactMismatch) << failed.fault.message;
}

// ---- what lanes suffer ----

TEST_F(FarmWorkerTest, KilledLaneIsACrashAndTheNextTaskRuns) {
  start_worker();
  probe(make_clip("clip.mkv", 3000));
  const net::Assign task = assign(segment_spec(0, 3000));
  coordinator_.say(task);
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  for (const pid_t pid : lane_pids()) {
    const auto name = read_file(fmt::format("/proc/{}/comm", pid), 64);
    if (name && name->starts_with("kiln-lane")) ::kill(pid, SIGKILL);
  }
  const auto failed = coordinator_.hear<net::TaskFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault.kind, net::FailureKind::kCrash) << failed->fault.message;
  EXPECT_THAT(store_.get(failed->log), HasSubstr("killed by signal 9"));
  net::Assign again = assign(segment_spec(0, 10));
  again.task = task.task;
  again.attempt = Attempt{2};
  run(again);
}

TEST_F(FarmWorkerTest, CancelledSegmentEndsAndItsLaneRendersOn) {
  start_worker();
  probe(make_clip("clip.mkv", 3000));
  const net::Assign task = assign(segment_spec(0, 3000));
  coordinator_.say(task);
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  coordinator_.say(net::CancelTask{task.task, task.attempt, "test"});
  run(assign(segment_spec(0, 5)));
  EXPECT_FALSE(std::filesystem::exists(fmt::format("{}/work/{}-1", folder_ / "worker", task.task)));
}

TEST_F(FarmWorkerTest, FileOfThePackageThatIsNotWhatTheManifestNamesIsBadInput) {
  start_worker();
  for (net::PackageFile& file : package_.files) {
    if (file.path.starts_with("weights/")) file.blob = store_.put("these are no weights");
  }
  source_.in_place = true;
  source_.path = make_clip("clip.mkv", 4);
  const net::TaskFailed failed = run_failing(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}}));
  EXPECT_EQ(failed.fault.kind, net::FailureKind::kBadInput);
  EXPECT_THAT(failed.fault.message, HasSubstr("is not what the manifest names"));
}

TEST_F(FarmWorkerTest, PackageThatTheStoreLacksIsBadInput) {
  start_worker();
  package_.files[0].blob = {std::string(64, 'f'), 10};
  const net::TaskFailed failed = run_failing(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}}));
  EXPECT_EQ(failed.fault.kind, net::FailureKind::kBadInput) << failed.fault.message;
}

TEST_F(FarmWorkerTest, TornClipIsBadInputAndTheMessageNamesItByItsName) {
  start_worker();
  source_.path = "torn.mp4";
  source_.blob = store_.put("this is no video");
  const net::TaskFailed failed = run_failing(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}}));
  EXPECT_EQ(failed.fault.kind, net::FailureKind::kBadInput);
  EXPECT_THAT(failed.fault.message, HasSubstr("torn.mp4"));
  EXPECT_THAT(failed.fault.message, ::testing::Not(HasSubstr("/blobs/")));
}

TEST_F(FarmWorkerTest, LaneThatHangsIsKilledAndItsTaskSaysSo) {
  ::setenv("KILN_LANE_SILENCE_S", "2", 1);
  start_worker();
  ::unsetenv("KILN_LANE_SILENCE_S");
  probe(make_clip("clip.mkv", 3000));
  coordinator_.say(assign(segment_spec(0, 3000)));
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  for (const pid_t pid : lane_pids()) ::kill(pid, SIGSTOP);
  const auto failed = coordinator_.hear<net::TaskFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault.kind, net::FailureKind::kHang) << failed->fault.message;
  run(assign(segment_spec(0, 5)));
}

TEST_F(FarmWorkerTest, ResultThatFindsNoRoomIsKeptAndStoredWhenThereIsSome) {
  start_worker();
  probe(make_clip("clip.mkv", 5));
  store_.stop();
  store_.budget_bytes = 1;
  store_.start();
  coordinator_.say(assign(segment_spec(0, 5)));
  ASSERT_TRUE(coordinator_.wait_for([&] { return store_.refusals() > 1; }));
  store_.stop();
  store_.budget_bytes = 1ULL << 40U;
  store_.start();
  const auto done = coordinator_.hear<net::TaskDone>();
  ASSERT_TRUE(done);
  EXPECT_FALSE(store_.get(std::get<net::SegmentResult>(done->result).segment).empty());
}

TEST_F(FarmWorkerTest, ImagesAreJoinedIntoOneArchive) {
  start_worker();
  output_.file_name = "shot_%04d.png";
  output_.codec = "";
  probe(make_clip("clip.mkv", 3));
  net::JoinSpec join;
  join.source = source_;
  join.output = output_;
  join.description = probed_.description;
  join.output_width = probed_.output_width;
  join.output_height = probed_.output_height;
  join.output_pixel_format = probed_.output_pixel_format;
  const net::TaskDone done = run(assign(segment_spec(0, 3)));
  join.segments.push_back({std::get<net::SegmentResult>(done.result).segment, 3});
  const net::TaskDone joined = run(assign(join));
  std::ofstream(folder_ / "images.tar") << store_.get(std::get<net::JoinResult>(joined.result).output);
  SpawnOptions list;
  list.argv = {"tar", "-tf", folder_ / "images.tar"};
  const auto listed = run_command(list, std::chrono::seconds(20));
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->out, "shot_0001.png\nshot_0002.png\nshot_0003.png\n");
}

// ---- who may speak ----

TEST_F(FarmWorkerTest, KeysOpenTheCoordinatorsDoorAndOthersDoNot) {
  const net::CurveKeyPair server = net::generate_curve_keys().value();
  const net::CurveKeyPair ours = net::generate_curve_keys().value();
  const net::CurveKeyPair stranger = net::generate_curve_keys().value();
  ASSERT_TRUE(net::save_curve_keys(posix_file_system(), folder_ / "ours.key", ours));
  ASSERT_TRUE(net::save_curve_keys(posix_file_system(), folder_ / "stranger.key", stranger));
  coordinator_.stop();
  coordinator_.security.own = server;
  ASSERT_TRUE(coordinator_.allowed.add({"w1", net::PeerRole::kWorker, ours.public_z85}));
  coordinator_.start();
  start_worker({"--key", folder_ / "ours.key", "--coordinator-key", server.public_z85});

  SpawnOptions other;
  other.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln", "worker", "--coordinator",
                coordinator_.endpoint(), "--state", folder_ / "other", "--key", folder_ / "stranger.key",
                "--coordinator-key", server.public_z85, "--name", "w2"};
  const UniqueFd log(::open((folder_ / "other.log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  other.stderr_fd = log.get();
  auto refused = ChildProcess::spawn(other);
  ASSERT_TRUE(refused);
  EXPECT_TRUE(coordinator_.wait_for([&] {
    const auto text = read_file(folder_ / "other.log", 1U << 20U);
    return text && text->find("coordinator tcp://") != std::string::npos;
  }));
  for (const net::WorkerHello& hello : coordinator_.hellos) EXPECT_EQ(hello.worker, "w1");
}

TEST_F(FarmWorkerTest, KeyWithoutTheOtherIsABadCommandLine) {
  SpawnOptions lone;
  lone.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln", "worker", "--coordinator",
               coordinator_.endpoint(), "--state", folder_ / "other", "--key", folder_ / "ours.key"};
  const auto refused = run_command(lone, std::chrono::seconds(30));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status.exit_code, 78);
}

// ---- what the farm suffers ----

TEST_F(FarmWorkerTest, GoesOnWhileTheCoordinatorIsAwayAndReattaches) {
  start_worker();
  probe(make_clip("clip.mkv", 600));
  const net::Assign task = assign(segment_spec(0, 600));
  coordinator_.say(task);
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  coordinator_.stop();
  const std::size_t before = coordinator_.hellos.size();
  coordinator_.start();
  ASSERT_TRUE(coordinator_.wait_for([&] { return coordinator_.hellos.size() > before; }));
  const net::WorkerHello& hello = coordinator_.hellos.back();
  ASSERT_THAT(hello.running, SizeIs(1));
  EXPECT_EQ(hello.running[0].task, task.task);
  const auto done = coordinator_.hear<net::TaskDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->task, task.task);
  EXPECT_EQ(done->attempt, task.attempt);  // the very same try
}

TEST_F(FarmWorkerTest, ResultThatWasNotTakenIsNamedAndSentAgain) {
  start_worker();
  coordinator_.takes_results = false;
  probe(make_clip("clip.mkv", 4));
  coordinator_.stop();
  const std::size_t before = coordinator_.hellos.size();
  coordinator_.takes_results = true;
  coordinator_.start();
  ASSERT_TRUE(coordinator_.wait_for([&] { return coordinator_.hellos.size() > before; }));
  EXPECT_THAT(coordinator_.hellos.back().running, SizeIs(1));
  EXPECT_TRUE(coordinator_.hear<net::TaskDone>());
}

TEST_F(FarmWorkerTest, StoreThatIsAwayForAWhileCostsNoTask) {
  start_worker();
  probe(make_clip("clip.mkv", 8));
  const net::Assign task = assign(segment_spec(0, 8));
  store_.stop();
  coordinator_.say(task);
  EXPECT_FALSE(coordinator_.hear<net::TaskDone>(std::chrono::seconds(3)));
  store_.start();
  const auto done = coordinator_.hear<net::TaskDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->task, task.task);
}

// A task may take longer than its grant lasts, or the coordinator was away for that long: what was rendered is not lost.
TEST_F(FarmWorkerTest, TaskThatOutlastsItsGrantIsStoredWithTheSessions) {
  store_.stop();
  store_.key = cache::UrlKey::generate();
  store_.start();
  const std::int64_t now = std::time(nullptr);
  coordinator_.read_query = store_.key->sign({"GET", "/", {}, 1ULL << 40U, now + 600}).value();
  coordinator_.write_query = store_.key->sign({"PUT", "/", {}, 1ULL << 40U, now + 600}).value();
  start_worker();
  probe(make_clip("clip.mkv", 8));
  net::Assign task = assign(segment_spec(0, 8));
  task.write_query = store_.key->sign({"PUT", "/cas/", "job", 1ULL << 40U, now - 600}).value();
  const net::TaskDone done = run(task);
  EXPECT_FALSE(store_.get(std::get<net::SegmentResult>(done.result).segment).empty());
}

TEST_F(FarmWorkerTest, KilledWorkerLeavesNoLane) {
  start_worker();
  probe(make_clip("clip.mkv", 3000));
  coordinator_.say(assign(segment_spec(0, 3000)));
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  const std::vector<pid_t> children = lane_pids();
  ASSERT_FALSE(children.empty());
  ::kill(worker_.pid(), SIGKILL);
  ASSERT_TRUE(worker_.wait());
  EXPECT_TRUE(coordinator_.wait_for([&] {
    return std::none_of(children.begin(), children.end(), [](pid_t pid) {
      const auto stat = read_file(fmt::format("/proc/{}/stat", pid), 4096);
      return stat && stat->find(") Z ") == std::string::npos;
    });
  }, std::chrono::seconds(10)));
}

TEST_F(FarmWorkerTest, TermFinishesWhatRunsAndSaysGoodbye) {
  start_worker();
  probe(make_clip("clip.mkv", 300));
  const net::Assign task = assign(segment_spec(0, 300));
  coordinator_.say(task);
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  ::kill(worker_.pid(), SIGTERM);
  const auto done = coordinator_.hear<net::TaskDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->task, task.task);
  EXPECT_TRUE(coordinator_.hear<net::Goodbye>());
  const auto status = worker_.wait_for(std::chrono::seconds(20));
  ASSERT_TRUE(status && *status);
  EXPECT_TRUE((*status)->ok()) << (*status)->describe();
}

TEST_F(FarmWorkerTest, SecondWorkerOnOneStateFolderIsRefused) {
  start_worker();
  SpawnOptions second;
  second.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln", "worker", "--coordinator",
                 coordinator_.endpoint(), "--state", folder_ / "worker"};
  const auto refused = run_command(second, std::chrono::seconds(30));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status.exit_code, 75);
}

// ---- what is fetched ----

TEST_F(FarmWorkerTest, SegmentOfAWholeClipFetchesLittleOfIt) {
  start_worker({"--cache-size", "1MiB"});  // too small for the clip: nothing of it stays here
  // Frames of a real size: the decoder's pipe then holds few of them beyond the segment's end.
  const std::string clip = make_clip("long.mp4", 1500, "-vf scale=320:180,noise=alls=40:allf=t -c:v libx264 -preset "
                                     "ultrafast -g 25 -qp 24 -pix_fmt yuv420p");
  const std::uint64_t clip_bytes = std::filesystem::file_size(clip);
  ASSERT_GT(clip_bytes, 40U << 20U);
  probe(clip);
  run(assign(segment_spec(0, 2)));  // package and description are here now
  const std::uint64_t before = store_.bytes_out();
  run(assign(segment_spec(700, 775)));  // 5 % of the clip
  const std::uint64_t fetched = store_.bytes_out() - before;
  RecordProperty("fetched_percent", std::to_string(100.0 * static_cast<double>(fetched) / static_cast<double>(clip_bytes)));
  EXPECT_GE(fetched, clip_bytes / 25);  // it came from there
  EXPECT_LE(fetched, clip_bytes / 10);
}

}  // namespace
}  // namespace kiln::worker
