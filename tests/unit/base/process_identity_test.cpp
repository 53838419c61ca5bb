#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "charm/base/output_lock.h"

namespace charm {
namespace {

TEST(ProcessIdentity, DetectsThatALocalProcessHasEnded) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string identity = process_identity();
    const bool written = write(pipe_ends[1], identity.data(), identity.size()) ==
                         static_cast<ssize_t>(identity.size());
    if (!written) _exit(1);
    for (;;) pause();
  }
  std::string identity(200, '\0');
  identity.resize(static_cast<std::size_t>(read(pipe_ends[0], identity.data(), identity.size())));
  if (identity.empty()) GTEST_SKIP() << "this machine has no /proc";
  EXPECT_FALSE(has_ended(identity));
  EXPECT_FALSE(has_ended(process_identity()));
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);  // a zombie
  EXPECT_TRUE(has_ended(identity));
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(has_ended(identity));
}

TEST(ProcessIdentity, UnknownForOtherMachinesAndInvalidIdentities) {
  EXPECT_FALSE(has_ended(""));
  EXPECT_FALSE(has_ended("another-boot pid:[1] 999999999 1"));
  std::string mine = process_identity();
  if (mine.empty()) GTEST_SKIP() << "this machine has no /proc";
  EXPECT_TRUE(is_of_this_machine(mine) && can_be_looked_up(mine));
  for (const char* other : {"", "another-boot pid:[1] 999999999 1"})
    EXPECT_FALSE(is_of_this_machine(other) || can_be_looked_up(other)) << other;
  EXPECT_TRUE(has_ended(mine + "1"));  // the pid has been reused
}

}  // namespace
}  // namespace charm
