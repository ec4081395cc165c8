// Between the parts of the codec (farm_codec*.cc), which put plain values into protobuf messages and get them out
// again. Nobody else includes this.
#pragma once

#include <cmath>
#include <string>
#include <string_view>

#include "net/farm_codec_reader.h"
#include "net/farm_facts.h"
#include "net/farm_limits.h"
#include "net/farm_replies.h"
#include "net/farm_requests.h"
#include "net/farm_tasks.h"
#include "net/farm_values.h"
#include "net/farm_worker_messages.h"

namespace kiln::net {

// What all was before a message could say otherwise is left out: journals of then and now hold the same bytes.
inline std::string wire_dtype(const std::string& dtype) { return dtype == "float32" ? std::string() : dtype; }

// The same of compile settings, as a whole and one by one.
inline bool is_said(const CompileSettings& settings) { return settings != CompileSettings(); }

namespace farm {
class Error;
class BlobRef;
class PackageRef;
class ClipSource;
class Shot;
class ShotStanding;
class StageProgress;
class OutputSettings;
class CompileSettings;
class LaneClass;
class LaneOffer;
class CardFacts;
class TaskSpec;
class TileChoice;
class SegmentResult;
class TaskResult;
class TaskFault;
class JobRequest;
class ClientRequest;
class JobStatus;
class JobList;
class ClientReply;
class FromWorker;
class ToWorker;
class LaneShare;
class ClipPlanned;
class CompileWanted;
class EnvelopeLearned;
}  // namespace farm

// What the receiver would refuse is made acceptable here where nothing is lost by it: a text for people becomes one
// line of at most kTextBytesMax, and a rate of nothing by nothing is nothing.
std::string one_line(std::string_view text);
inline double finite(double value) { return std::isfinite(value) && value > 0.0 ? value : 0.0; }
// On the wire 0 says that there is no value.
template <typename Wire, typename Enum>
Wire to_wire(Enum value) {
  return static_cast<Wire>(static_cast<int>(value) + 1);
}

void put(const Error& in, farm::Error& out);
Error get(const farm::Error& in, WireReader& read);
void put(const BlobRef& in, farm::BlobRef& out);
BlobRef get(const farm::BlobRef& in, WireReader& read);
void put(const PackageRef& in, farm::PackageRef& out);
PackageRef get(const farm::PackageRef& in, WireReader& read);
void put(const Shot& in, farm::Shot& out);
Shot get(const farm::Shot& in, WireReader& read);
void put(const StageProgress& in, farm::StageProgress& out);
StageProgress get(const farm::StageProgress& in, WireReader& read);
void put(const ShotStanding& in, farm::ShotStanding& out);
ShotStanding get(const farm::ShotStanding& in, WireReader& read);
void put(const ClipSource& in, farm::ClipSource& out);
ClipSource get(const farm::ClipSource& in, WireReader& read);
void put(const OutputSettings& in, farm::OutputSettings& out);
OutputSettings get(const farm::OutputSettings& in, WireReader& read);
void put(const CompileSettings& in, farm::CompileSettings& out);
CompileSettings get(const farm::CompileSettings& in, WireReader& read);
void put(const LaneClass& in, farm::LaneClass& out);
LaneClass get(const farm::LaneClass& in, WireReader& read);
void put(const CardFacts& in, farm::CardFacts& out);
CardFacts get(const farm::CardFacts& in, WireReader& read);
void put(const LaneOffer& in, farm::LaneOffer& out);
LaneOffer get(const farm::LaneOffer& in, WireReader& read);
void put(const TaskSpec& in, farm::TaskSpec& out);
TaskSpec get(const farm::TaskSpec& in, WireReader& read);
void put(const TileChoice& in, farm::TileChoice& out);
TileChoice get(const farm::TileChoice& in, WireReader& read);
void put(const SegmentResult& in, farm::SegmentResult& out);
SegmentResult get(const farm::SegmentResult& in, WireReader& read);
void put(const TaskResult& in, farm::TaskResult& out);
TaskResult get(const farm::TaskResult& in, WireReader& read);
void put(const TaskFault& in, farm::TaskFault& out);
TaskFault get(const farm::TaskFault& in, WireReader& read);
void put(const JobRequest& in, farm::JobRequest& out);
JobRequest get(const farm::JobRequest& in, WireReader& read);
void put(const ClientRequest& in, farm::ClientRequest& out);
ClientRequest get(const farm::ClientRequest& in, WireReader& read);
void put(const JobStatus& in, farm::JobStatus& out);
JobStatus get(const farm::JobStatus& in, WireReader& read);
void put(const JobList& in, farm::JobList& out);
JobList get(const farm::JobList& in, WireReader& read);
void put(const ClientReply& in, farm::ClientReply& out);
ClientReply get(const farm::ClientReply& in, WireReader& read);
void put(const FromWorker& in, farm::FromWorker& out);
FromWorker get(const farm::FromWorker& in, WireReader& read);
void put(const ToWorker& in, farm::ToWorker& out);
ToWorker get(const farm::ToWorker& in, WireReader& read);
void put(const LaneShare& in, farm::LaneShare& out);
LaneShare get(const farm::LaneShare& in, WireReader& read);
void put(const ClipPlanned& in, farm::ClipPlanned& out);
ClipPlanned get(const farm::ClipPlanned& in, WireReader& read);
void put(const CompileWanted& in, farm::CompileWanted& out);
CompileWanted get(const farm::CompileWanted& in, WireReader& read);
void put(const EnvelopeLearned& in, farm::EnvelopeLearned& out);
EnvelopeLearned get(const farm::EnvelopeLearned& in, WireReader& read);

}  // namespace kiln::net
