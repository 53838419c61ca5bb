#include "charm/base/log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace charm::log {
namespace {

class Log : public testing::Test {
 protected:
  void TearDown() override { set_level(before_); }

  template <typename Body>
  static std::string stderr_of(const Body& body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
  }

 private:
  Level before_ = level();
};

TEST_F(Log, ALineIsLevelAndMessage) {
  set_level(Level::kDebug);
  EXPECT_EQ(stderr_of([] {
              debug("{} of {}", 1, 2);
              info("plain");
              warning("{{}}");
              write(Level::kError, "{as it stands}");
            }),
            "debug: 1 of 2\ninfo: plain\nwarning: {}\nerror: {as it stands}\n");
}

TEST_F(Log, LowerLevelsAreLeftOut) {
  const auto all = [] {
    debug("a");
    info("b");
    warning("c");
    write(Level::kError, "d");
    write(Level::kOff, "e");
  };
  set_level(Level::kInfo);
  EXPECT_EQ(stderr_of(all), "info: b\nwarning: c\nerror: d\n");
  set_level(Level::kWarning);
  EXPECT_EQ(level(), Level::kWarning);
  EXPECT_EQ(stderr_of(all), "warning: c\nerror: d\n");
  set_level(Level::kOff);
  EXPECT_EQ(stderr_of(all), "");
}

TEST_F(Log, ASinkTakesTheLinesInsteadOfStandardError) {
  set_level(Level::kInfo);
  std::vector<std::string> lines;
  set_sink([&](Level level, std::string_view message) {
    lines.push_back(std::string(level == Level::kWarning ? "w " : "i ") + std::string(message));
  });
  EXPECT_EQ(stderr_of([] {
              debug("a");
              info("b");
              warning("c");
            }),
            "");
  EXPECT_EQ(lines, (std::vector<std::string>{"i b", "w c"}));
  set_sink({});
  EXPECT_EQ(stderr_of([] { info("d"); }), "info: d\n");
}

TEST_F(Log, LinesOfSeveralThreadsDoNotMix) {
  set_level(Level::kInfo);
  const std::string text(300, 'x');
  const std::string found = stderr_of([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int n = 0; n < 200; ++n) info("{}", text);
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::istringstream lines(found);
  int num_lines = 0;
  for (std::string line; std::getline(lines, line); ++num_lines) ASSERT_EQ(line, "info: " + text);
  EXPECT_EQ(num_lines, 800);
}

}  // namespace
}  // namespace charm::log
