#include "charm/kernels/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace charm::kernels {
namespace {

class ThreadPoolTest : public testing::Test {
 protected:
  ThreadPoolTest() { set_num_threads(3); }
  ~ThreadPoolTest() override { set_num_threads(2); }
};

/// True once `count` is reached, which only concurrent threads can do.
bool reaches(const std::atomic<int>& counter, int count) {
  for (int i = 0; i < 5000 && counter < count; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return counter == count;
}

TEST_F(ThreadPoolTest, TasksRunConcurrently) {
  std::atomic<int> begun{0}, met{0};
  parallel_run(3, [&](std::int64_t) {
    ++begun;
    if (reaches(begun, 3)) ++met;
  });
  EXPECT_EQ(met, 3);
}

TEST_F(ThreadPoolTest, EveryIndexRunsOnce) {
  std::vector<std::atomic<int>> runs(1000);
  std::atomic<int> workers{0};
  parallel_for_dynamic(1000, [&] {
    ++workers;
    return [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; };
  });
  for (const auto& count : runs) EXPECT_EQ(count, 1);
  EXPECT_LE(workers, 3);
}

TEST_F(ThreadPoolTest, RangesCoverEverythingOnceAndRespectTheGrain) {
  for (const std::int64_t count : {0, 1, 9, 10, 11, 29, 100}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    parallel_for_ranges(count, 10, [&](std::int64_t begin, std::int64_t end) {
      EXPECT_LT(begin, end);
      for (std::int64_t i = begin; i < end; ++i) ++runs[static_cast<std::size_t>(i)];
    });
    for (const auto& times : runs) EXPECT_EQ(times, 1);
  }
}

TEST_F(ThreadPoolTest, NestedTasksRunSerially) {
  std::atomic<int> inner{0};
  parallel_run(3, [&](std::int64_t) {
    const auto thread = std::this_thread::get_id();
    parallel_run(4, [&](std::int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), thread);
      ++inner;
    });
  });
  EXPECT_EQ(inner, 12);
}

TEST_F(ThreadPoolTest, ManyCallersAtOnce) {
  std::atomic<int> tasks{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) parallel_run(3, [&](std::int64_t) { ++tasks; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(tasks, 4 * 2000 * 3);
}

// Workers must pick up a task whether they spin or block.
TEST_F(ThreadPoolTest, WakesAfterAnyPause) {
  std::atomic<int> tasks{0};
  for (const int microseconds : {0, 5, 20, 50, 100, 200, 500, 2000, 20000}) {
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
      parallel_run(3, [&](std::int64_t task) {
        if (task == 2)
          std::this_thread::sleep_for(
              std::chrono::microseconds(microseconds));  // the caller waits too
        ++tasks;
      });
    }
  }
  EXPECT_EQ(tasks, 9 * 20 * 3);
}

TEST_F(ThreadPoolTest, AnExceptionIsRethrownWhenAllTasksHaveEnded) {
  std::atomic<int> ended{0};
  for (const std::int64_t thrower : {0, 1, 2}) {
    ended = 0;
    EXPECT_THROW(parallel_run(3,
                              [&](std::int64_t task) {
                                if (task == thrower) throw std::runtime_error("a task failed");
                                std::this_thread::sleep_for(std::chrono::milliseconds(2));
                                ++ended;
                              }),
                 std::runtime_error);
    EXPECT_EQ(ended, 2);
  }
}

TEST_F(ThreadPoolTest, OneThreadIsTheCaller) {
  set_num_threads(1);
  const auto caller = std::this_thread::get_id();
  int runs = 0;
  parallel_for_dynamic(5, [&] {
    return [&](std::int64_t) { runs += std::this_thread::get_id() == caller ? 1 : 100; };
  });
  EXPECT_EQ(runs, 5);
}

}  // namespace
}  // namespace charm::kernels
