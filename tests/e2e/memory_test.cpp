// Too little memory: one line and exit code 6, whichever library asked for it.

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using Memory = SmallWorld;

TEST_F(Memory, ALimitOfTheAddressSpaceEndsInOneLine) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory is larger than the limits";
#endif
  constexpr std::int64_t kMiB = 1 << 20, kStep = 4 * kMiB, kMost = 2000 * kMiB;
  // The libraries themselves must find room, those that read rows included.
  const std::vector<std::string> prepare = {"prepare",  "--input",         responses("helper"),
                                            "--output", path("p.parquet"), "--fresh"};
  std::int64_t limit = kStep;
  while (limit < kMost && run_charm(prepare, {.max_address_bytes = limit}).code != 0)
    limit += kStep;
  int num_refused = 0;
  bool passed = false;
  for (limit += kStep; limit < kMost && !passed; limit += kStep) {
    const Outcome outcome =
        run_charm({"score", "--model", path("rm"), "--responses", responses("helper"), "--output",
                   path("out"), "--dtype", "float32", "--fresh", "--quiet"},
                  {.max_address_bytes = limit});
    passed = outcome.code == 0;
    if (passed) continue;
    ++num_refused;
    EXPECT_EQ(outcome.code, 6) << limit / kMiB << " MiB: " << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr("charm score: error: ")) << limit / kMiB << " MiB";
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  }
  EXPECT_TRUE(passed) << "not even " << kMost / kMiB << " MiB are enough";
  EXPECT_GT(num_refused, 0);
}

}  // namespace
}  // namespace charm::e2e
