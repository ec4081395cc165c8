// Facts whose bytes follow from their numbers, and waiting for a journal without sleeping.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <vector>

#include "coordinator/journal/journal.h"

namespace kiln::coordinator::test {

inline constexpr int kDeadlineMs = 30'000;

// The fact `sequence` of a batch [first, last]: says so, and is filled up to a length of its own.
inline std::string numbered_fact(std::uint64_t sequence, std::uint64_t first, std::uint64_t last) {
  std::string fact = fmt::format("{} {} {};", sequence, first, last);
  fact.resize(fact.size() + sequence * 7919 % 700, static_cast<char>(sequence));
  return fact;
}

inline std::vector<std::string> numbered_batch(std::uint64_t first, std::uint64_t count) {
  std::vector<std::string> facts;
  for (std::uint64_t i = first; i < first + count; ++i) facts.push_back(numbered_fact(i, first, first + count - 1));
  return facts;
}

inline std::unique_ptr<Journal> open_journal(const std::string& folder, std::string vfs = {}) {
  JournalOptions options;
  options.folder = folder;
  options.vfs = std::move(vfs);
  auto journal = Journal::open(posix_file_system(), std::move(options));
  EXPECT_TRUE(journal) << journal.error().message;
  return journal ? std::move(*journal) : nullptr;
}

// Until `sequence` is durable or the journal has failed; false: it has failed.
inline bool wait_durable(Journal& journal, std::uint64_t sequence) {
  while (journal.durable_sequence() < sequence && journal.status()) {
    pollfd event{journal.durable_fd(), POLLIN, 0};
    if (::poll(&event, 1, kDeadlineMs) == 0) {
      ADD_FAILURE() << "nothing became durable";
      return false;
    }
    journal.clear_durable_fd();
  }
  return journal.durable_sequence() >= sequence;
}

struct ReadFact {
  std::uint64_t sequence = 0;
  std::string body;
};

inline std::vector<ReadFact> read_facts(Journal& journal, std::uint64_t from = 1) {
  std::vector<ReadFact> facts;
  const Status status = journal.read_all(from, [&](std::uint64_t sequence, std::string_view body) {
    facts.push_back({sequence, std::string(body)});
    return Status();
  });
  EXPECT_TRUE(status) << status.error().message;
  return facts;
}

// Every fact is whole, in its place, and so is every batch.
inline void expect_whole(const std::vector<ReadFact>& facts, std::uint64_t from = 1) {
  for (std::size_t i = 0; i < facts.size(); ++i) {
    ASSERT_EQ(facts[i].sequence, from + i);
    unsigned long long sequence = 0;
    unsigned long long first = 0;
    unsigned long long last = 0;
    ASSERT_EQ(std::sscanf(facts[i].body.c_str(), "%llu %llu %llu;", &sequence, &first, &last), 3);
    ASSERT_EQ(facts[i].body, numbered_fact(facts[i].sequence, first, last)) << "torn, or another's";
    ASSERT_LE(last, facts.back().sequence) << "a batch is there in part";
  }
}

}  // namespace kiln::coordinator::test
