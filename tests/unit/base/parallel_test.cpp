#include "charm/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "charm/base/error.h"
#include "tests/support/expect_error.h"

namespace charm {
namespace {

TEST(ParallelFor, RunsEveryIndexOnce) {
  for (const std::size_t num_threads : {0u, 1u, 3u, 64u}) {
    std::vector<int> counts(1000, 0);
    parallel_for(counts.size(), num_threads, [&](std::size_t i) { ++counts[i]; });
    EXPECT_EQ(counts, std::vector<int>(1000, 1)) << num_threads << " threads";
  }
}

TEST(ParallelFor, NothingToDo) {
  parallel_for(0, 4, [](std::size_t) { FAIL() << "called without an index"; });
}

TEST(ParallelFor, AnExceptionReachesTheCallerAndStopsTheRest) {
  for (const std::size_t num_threads : {1u, 4u}) {
    std::atomic<int> num_runs = 0;
    const auto body = [&](std::size_t i) {
      ++num_runs;
      if (i == 10) throw Error(ErrorKind::kInput, "index {}", i);
    };
    EXPECT_ERROR(kInput, "index 10", parallel_for(1000000, num_threads, body));
    EXPECT_LT(num_runs, 1000000);
  }
}

TEST(ParallelFor, OfSeveralExceptionsThatOfTheSmallestIndexIsRethrown) {
  for (const std::size_t num_threads : {1u, 4u}) {
    const auto body = [&](std::size_t i) {
      if (i == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (i >= 1) throw Error(ErrorKind::kInput, "index {}", i);
    };
    EXPECT_ERROR(kInput, "index 1", parallel_for(4, num_threads, body));
  }
}

TEST(AvailableProcessors, IsAtLeastOne) { EXPECT_GE(available_processors(), 1u); }

}  // namespace
}  // namespace charm
