// make_golden_journal FOLDER: writes FOLDER/journal.db with one fact of every kind, and a snapshot of what they come to, as
// tests/golden holds them for each format that was released. Files of released formats are never made again.
#include <cstdio>

#include "coordinator/core/farm_step.h"
#include "coordinator/durable_snapshot.h"
#include "coordinator/journal/journal.h"
#include "net/farm_codec.h"
#include "tests/net/farm/fact_samples.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  kiln::coordinator::JournalOptions options;
  options.folder = argv[1];
  auto journal = kiln::coordinator::Journal::open(kiln::posix_file_system(), options);
  if (!journal) return std::puts(journal.error().message.c_str()), 1;
  std::vector<std::string> facts;
  for (const auto& sample : kiln::net::test::fact_samples()) facts.push_back(kiln::net::encode(sample.second));
  if (!(*journal)->append(facts) || !(*journal)->flush()) return 1;
  kiln::coordinator::Durable state;
  for (const auto& sample : kiln::net::test::fact_samples()) kiln::coordinator::apply_fact(state, sample.second);
  const auto saved = (*journal)->write_snapshot(facts.size(), kiln::coordinator::encode_durable(state));
  if (!saved) return std::puts(saved.error().message.c_str()), 1;
  journal->reset();
  return 0;
}
