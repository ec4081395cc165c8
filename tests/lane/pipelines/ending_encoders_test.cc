#include "lane/pipelines/ending_encoders.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace kiln::lane {
namespace {

TEST(EndingEncodersTest, ReturnWhileTheyAreAtIt) {
  std::promise<void> go;
  std::atomic<bool> over{false};
  {
    EndingEncoders ending(1);
    ending.add([&, may = go.get_future()] {
      may.wait();
      over = true;
    });
    EXPECT_FALSE(over);
    go.set_value();
  }
  EXPECT_TRUE(over) << "who goes away waits";
}

TEST(EndingEncodersTest, NoMoreAtOnceThanThatAndInTheirOrder) {
  constexpr int kEnds = 200;
  for (const std::size_t most : {1U, 2U}) {
    std::atomic<std::size_t> now{0};
    std::mutex mutex;
    std::size_t seen = 0;
    std::vector<int> order;
    {
      EndingEncoders ending(most);
      for (int i = 0; i < kEnds; ++i) {
        ending.add([&, i] {
          const std::size_t beside = ++now;
          {
            const std::lock_guard lock(mutex);
            seen = std::max(seen, beside);
            order.push_back(i);
          }
          --now;
        });
      }
    }
    EXPECT_LE(seen, most);
    EXPECT_EQ(order.size(), std::size_t{kEnds});
    EXPECT_TRUE(most > 1 || std::is_sorted(order.begin(), order.end()));
  }
}

TEST(EndingEncodersTest, NoneIsDoneInPlace) {
  EndingEncoders ending(0);
  std::thread::id where;
  ending.add([&] { where = std::this_thread::get_id(); });
  EXPECT_EQ(where, std::this_thread::get_id());
}

}  // namespace
}  // namespace kiln::lane
