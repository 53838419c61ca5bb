#include "charm/base/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

using testing::error_of;
using testing::TempFolder;

TEST(Files, WritesAndReadsEveryByteInNewFolders) {
  const TempFolder folder;
  const std::string content("a\0b\r\n\xff", 6);
  write_file(folder / "deep/er/file", content);
  EXPECT_EQ(read_file(folder / "deep/er/file"), content);
  write_file(folder / "deep/er/file", "shorter");
  EXPECT_EQ(read_file(folder / "deep/er/file"), "shorter");
}

TEST(Files, MissingFileIsAnIoErrorNamingIt) {
  const TempFolder folder;
  const Error error = error_of([&] { read_file(folder / "absent"); });
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_NE(error.message().find("absent"), std::string::npos);
}

TEST(Files, AFailedWriteLeavesTheOldFile) {
  const TempFolder folder;
  folder.file("out", "old");
  // A file size limit simulates a full disk: write() fails the same way.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Error error = error_of([&] { write_file(folder / "out", std::string(5000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
  EXPECT_EQ(read_file(folder / "out"), "old");
}

TEST(Files, AnOutputThatIsAFolderLeavesNoPartialFile) {
  const TempFolder folder;
  fs::create_directories(folder / "out/inner");
  EXPECT_EQ(error_of([&] { write_file(folder / "out", "x"); }).kind(), ErrorKind::kIo);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
}

TEST(Files, AReadOnlyFolderIsRejected) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write into read-only folders";
  const TempFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(error_of([&] { require_writable(folder / "out"); }).kind(), ErrorKind::kIo);
}

TEST(Files, AParentThatIsAFileIsRejected) {
  const TempFolder folder;
  folder.file("file", "x");
  EXPECT_EQ(error_of([&] { require_writable(folder / "file/out"); }).kind(), ErrorKind::kIo);
  EXPECT_EQ(error_of([&] { create_folders(folder / "file/deeper"); }).kind(), ErrorKind::kIo);
}

TEST(Files, WritesThroughSymbolicLinks) {
  const TempFolder folder;
  fs::create_directories(folder / "elsewhere");
  fs::create_symlink("elsewhere/file", folder / "link");
  for (const char* content : {"new", "again"}) {  // the target does not exist at first
    write_file(folder / "link", content);
    EXPECT_TRUE(fs::is_symlink(folder / "link"));
    EXPECT_EQ(read_file(folder / "elsewhere/file"), content);
  }
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"elsewhere", "link"}));
}

TEST(Files, DevicesAndFoldersAreRejected) {
  const TempFolder folder;
  EXPECT_ERROR(kIo, "is a folder", require_writable(folder.path()));
  EXPECT_ERROR(kIo, "is a device", require_writable("/dev/null"));
  fs::create_symlink("/dev/null", folder / "link");
  EXPECT_ERROR(kIo, "is a device", require_writable(folder / "link"));
  folder.file("file", "x");
  EXPECT_ERROR(kIo, "is a file", require_writable_folder(folder / "file"));
  EXPECT_ERROR(kIo, "is a device", publish(folder.file("file.partial", "x"), "/dev/null"));
}

TEST(Files, AFolderMayEndWithASlash) {
  const TempFolder folder;
  EXPECT_EQ(partial_path(folder / "out/"), folder / "out.partial");
  require_writable_folder(folder / "out/");
  EXPECT_FALSE(fs::exists(folder / "out"));
  folder.file("out.partial/new", "y");
  publish(partial_path(folder / "out/"), folder / "out/");
  EXPECT_TRUE(fs::exists(folder / "out/new"));
}

TEST(Files, AnInputAsOutputIsRejectedAlsoThroughALink) {
  const TempFolder folder;
  const fs::path input = folder.file("input", "x");
  fs::create_symlink("input", folder / "link");
  require_distinct(folder / "output", input);
  const std::vector<fs::path> inputs = {folder / "other", folder / "link"};
  EXPECT_ERROR(kUsage, "is an input", require_distinct(input, inputs));
}

TEST(Files, RequireWritableLeavesNothing) {
  const TempFolder folder;
  require_writable(folder / "new/out");
  EXPECT_TRUE(fs::is_empty(folder / "new"));
}

TEST(Files, PublishReplacesAFolder) {
  const TempFolder folder;
  folder.file("model/old", "x");
  folder.file("model.partial/new", "y");
  publish(partial_path(folder / "model"), folder / "model");
  EXPECT_TRUE(fs::exists(folder / "model/new"));
  EXPECT_FALSE(fs::exists(folder / "model/old"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"model"});
}

TEST(MappedFile, ShowsTheContentAndSurvivesMoving) {
  const TempFolder folder;
  MappedFile file(folder.file("data", "hello"));
  const MappedFile moved = std::move(file);
  ASSERT_EQ(moved.size(), 5u);
  EXPECT_EQ(std::memcmp(moved.data(), "hello", 5), 0);
  EXPECT_EQ(MappedFile(folder.file("empty", "")).size(), 0u);
  EXPECT_EQ(error_of([&] { MappedFile(folder.path()); }).kind(), ErrorKind::kIo);
}

TEST(MappedFile, ReleasedPagesAreReloadedAndOtherMemoryIsUntouched) {
  const TempFolder folder;
  std::string text(3 * 65536 + 17, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 % 251);
  const MappedFile file(folder.file("data", text));
  std::string heap = text;
  MappedFile::release_pages(file.data() + 5, file.size() - 9);
  MappedFile::release_pages(file.data() + 100, 3);
  MappedFile::release_pages(file.data() + 100, 10 * text.size());  // beyond the file's end
  MappedFile::release_pages(heap.data(), heap.size());
  EXPECT_EQ(std::memcmp(file.data(), text.data(), text.size()), 0);
  EXPECT_EQ(heap, text);
}

TEST(LineAppender, AppendsToAnExistingFile) {
  const TempFolder folder;
  folder.file("log", "first\n");
  LineAppender(folder / "log").append("second");
  LineAppender(folder / "log").append("third");
  EXPECT_EQ(read_file(folder / "log"), "first\nsecond\nthird\n");
}

}  // namespace
}  // namespace charm
