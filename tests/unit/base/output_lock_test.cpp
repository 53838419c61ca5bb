#include "charm/base/output_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Short times, so that watching a silent process takes no half minute.
constexpr OutputLockOptions kQuick{.heartbeat = milliseconds(20), .patience = milliseconds(600)};
constexpr OutputLockOptions kNoKernelLock{
    .heartbeat = milliseconds(20), .patience = milliseconds(600), .kernel_lock = false};

constexpr const char* kOfAnotherHost =
    "pid 77\nhost elsewhere\nsince 2026-01-02T03:04:05Z\nprocess another-boot pid:[1] 77 1\nflock "
    "yes\n";

/// A process that takes the lock and keeps it until it is killed.
class Holder {
 public:
  Holder(const fs::path& output, const OutputLockOptions& options) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const OutputLock lock(output, options);
      if (write(ends[1], "x", 1) != 1) _exit(1);
      for (;;) pause();
    }
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
  }
  ~Holder() { end(); }
  void end() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

/// Standard error while `action` runs.
std::string said(const std::function<void()>& action) {
  ::testing::internal::CaptureStderr();
  action();
  return ::testing::internal::GetCapturedStderr();
}

TEST(OutputLock, SaysWhoHasItAndGoesWithItsOwner) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  {
    const OutputLock lock(output);
    EXPECT_EQ(lock_path(output), folder / "out.json.lock");
    EXPECT_THAT(read_file(lock_path(output)),
                AllOf(HasSubstr("pid " + std::to_string(getpid()) + "\n"), HasSubstr("host "),
                      HasSubstr("since 20"), HasSubstr("process " + process_identity() + "\n")));
    lock.require_held();
  }
  EXPECT_TRUE(folder.names().empty());
  const OutputLock again(output);
}

TEST(OutputLock, RefusesASecondProcessInOneLine) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  const Holder holder(output, kQuick);
  const Error error = error_of([&] { OutputLock lock(output, kQuick); });
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_THAT(
      error.message(),
      AllOf(HasSubstr(output.string()), HasSubstr("pid " + std::to_string(holder.pid())),
            HasSubstr(" on "), HasSubstr("since 20"), HasSubstr(" s ago)"),
            HasSubstr("choose another output"), Not(HasSubstr("remove")), Not(HasSubstr("\n"))));
  EXPECT_TRUE(fs::exists(lock_path(output)));
}

TEST(OutputLock, OfAKilledProcessIsTakenOverAndSaidSo) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  for (const OutputLockOptions& options : {kQuick, kNoKernelLock}) {
    Holder holder(output, options);
    const std::string pid = std::to_string(holder.pid());
    holder.end();
    ASSERT_TRUE(fs::exists(lock_path(output)));
    EXPECT_THAT(said([&] { OutputLock lock(output, options); }),
                AllOf(HasSubstr("pid " + pid + " of this host"), HasSubstr("taken over")));
    EXPECT_TRUE(folder.names().empty());
  }
}

TEST(OutputLock, OfAReusedPidIsTakenOver) {
  if (process_identity().empty()) GTEST_SKIP() << "this machine has no /proc";
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  // This process's number, started at another time.
  write_file(lock_path(output), "pid " + std::to_string(getpid()) +
                                    "\nhost here\nsince 2026-01-02T03:04:05Z\nprocess " +
                                    process_identity() + "1\nflock no\n");
  const OutputLock lock(output, kNoKernelLock);
}

TEST(OutputLock, WithoutKernelLocksALivingProcessIsRefused) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  const Holder holder(output, kNoKernelLock);
  EXPECT_TRUE(charm::test::throws_error(ErrorKind::kIo, "pid " + std::to_string(holder.pid()),
                                        [&] { OutputLock lock(output, kNoKernelLock); }));
}

TEST(OutputLock, OfAnotherHostStandsWhileItsHeartbeatGoesOn) {
  const TempFolder folder;
  const fs::path output = folder / "out.json", lock = lock_path(output);
  write_file(lock, kOfAnotherHost);
  std::atomic<bool> alive = true;
  std::thread heart([&] {
    while (alive) {
      utimensat(AT_FDCWD, lock.c_str(), nullptr, 0);
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  for (const OutputLockOptions& options : {kQuick, kNoKernelLock}) {
    const Error error = error_of([&] { OutputLock second(output, options); });
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.message(),
                AllOf(HasSubstr("pid 77 on elsewhere, since 2026-01-02T03:04:05Z"),
                      HasSubstr("if that process is gone, remove " + lock.string())));
  }
  alive = false;
  heart.join();
  EXPECT_EQ(read_file(lock), kOfAnotherHost);
}

TEST(OutputLock, OfASilentHostIsTakenOverAndSaidSo) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  for (const OutputLockOptions& options : {kQuick, kNoKernelLock}) {
    write_file(lock_path(output), kOfAnotherHost);
    EXPECT_THAT(said([&] {
                  const OutputLock lock(output, options);
                  lock.require_held();
                }),
                HasSubstr("pid 77 on elsewhere, started 2026-01-02T03:04:05Z, gives no sign of "
                          "life; its lock is taken over"));
    EXPECT_TRUE(folder.names().empty());
  }
}

TEST(OutputLock, IsTakenWhenItsOwnerReleasesItWhileItIsWatched) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  write_file(lock_path(output), kOfAnotherHost);
  std::thread owner([&] {
    std::this_thread::sleep_for(milliseconds(150));
    fs::remove(lock_path(output));
  });
  const OutputLock lock(output, kQuick);
  owner.join();
  EXPECT_THAT(read_file(lock_path(output)), HasSubstr("pid " + std::to_string(getpid())));
}

TEST(OutputLock, ItsHeartbeatRefreshesTheFile) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  const OutputLock lock(output, kQuick);
  const auto first = fs::last_write_time(lock_path(output));
  for (int i = 0; i < 200 && fs::last_write_time(lock_path(output)) == first; ++i)
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_GT(fs::last_write_time(lock_path(output)), first);
}

TEST(OutputLock, LostToAnotherHostNothingIsWrittenAndItsLockStays) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  {
    const OutputLock lock(output, kQuick);
    write_file(lock_path(output), kOfAnotherHost);
    EXPECT_TRUE(charm::test::throws_error(ErrorKind::kIo, "taken over by pid 77 on elsewhere",
                                          [&] { lock.require_held(); }));
  }
  EXPECT_EQ(read_file(lock_path(output)), kOfAnotherHost);
}

TEST(OutputLock, LeavesOtherPeoplesFilesAlone) {
  const TempFolder folder;
  const fs::path file = folder.file("Cargo.lock", "[[package]]\n");
  EXPECT_TRUE(charm::test::throws_error(ErrorKind::kIo, "is in the way",
                                        [&] { OutputLock lock(folder / "Cargo", kQuick); }));
  EXPECT_EQ(read_file(file), "[[package]]\n");
}

TEST(OutputLock, SeveralOutputsAllOrNone) {
  const TempFolder folder;
  {
    const OutputLock b(folder / "b");
    EXPECT_TRUE(charm::test::throws_error(ErrorKind::kIo, "b: is being written", [&] {
      OutputLock both(std::vector<fs::path>{folder / "b", folder / "a"});
    }));
    EXPECT_EQ(folder.names(), std::vector<std::string>{"b.lock"});
    const OutputLock others(std::vector<fs::path>{folder / "c", folder / "a"});
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(OutputLock, OfOneSilentProcessIsWatchedAndToldOfOnce) {
  const TempFolder folder;
  std::vector<fs::path> outputs;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    outputs.push_back(folder / name);
    write_file(lock_path(outputs.back()), kOfAnotherHost);
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::string text = said([&] { OutputLock lock(outputs, kQuick); });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5 * kQuick.patience);
  EXPECT_EQ(text.find("taken over"), text.rfind("taken over")) << text;
}

TEST(OutputLock, LinksToOneOutputShareItsLock) {
  const TempFolder folder;
  fs::create_symlink("real.json", folder / "link.json");
  const OutputLock lock(folder / "link.json");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"link.json", "real.json.lock"}));
  EXPECT_TRUE(charm::test::throws_error(ErrorKind::kIo, "is being written",
                                        [&] { OutputLock other(folder / "real.json"); }));
}

TEST(OutputLock, OfAFolderLiesInIt) {
  const TempFolder folder;
  const OutputLock lock = OutputLock::of_folder(folder / "run");
  EXPECT_TRUE(fs::exists(folder / "run/charm.lock"));
  EXPECT_TRUE(charm::test::throws_error(ErrorKind::kIo,
                                        (folder / "run").string() + ": is being written",
                                        [&] { OutputLock::of_folder(folder / "run"); }));
}

TEST(OutputLock, WaitsWhereAsked) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  std::optional<OutputLock> first(std::in_place, output);
  std::thread owner([&] {
    std::this_thread::sleep_for(milliseconds(100));
    first.reset();
  });
  const OutputLock second(output, {.wait = milliseconds(10'000)});
  owner.join();
}

TEST(OutputLock, OfProcessesThatComeTogetherOneGetsIt) {
  const TempFolder folder;
  const fs::path output = folder / "out.json";
  for (const OutputLockOptions& options : {kQuick, kNoKernelLock}) {
    // Behind a killed process's lock, which all of them want to take over.
    if (options.kernel_lock) Holder(output, options).end();
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      try {
        const OutputLock lock(output, options);
        std::this_thread::sleep_for(milliseconds(1500));
        _exit(0);
      } catch (const Error&) {
        _exit(4);
      }
    }
    int num_taken = 0;
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      num_taken += WEXITSTATUS(status) == 0 ? 1 : 0;
    }
    EXPECT_EQ(num_taken, 1);
    fs::remove(lock_path(output));  // _exit leaves it
  }
}

}  // namespace
}  // namespace charm
