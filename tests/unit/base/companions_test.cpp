#include "charm/base/companions.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "charm/base/output_lock.h"
#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

TEST(Companions, StandBesideAFileUnlessItIsParquet) {
  const testing::TempFolder folder;
  EXPECT_EQ(companion_path(folder / "m.json", ".manifest.json"), folder / "m.json.manifest.json");
  EXPECT_EQ(companion_path(folder / "model/", ".lock"), folder / "model.lock");
  EXPECT_EQ(companion_path(folder / "p.parquet", ".manifest.json"),
            folder / ".charm/p.parquet.manifest.json");
  EXPECT_EQ(lock_path(folder / "p.parquet"), folder / ".charm/p.parquet.lock");
  EXPECT_EQ(path_beside(folder / "p.parquet", ".journal"), folder / "p.parquet.journal");
}

TEST(Companions, ParquetFilesArePartialInTheCompanionFolderOnceThereIsOne) {
  const testing::TempFolder folder;
  EXPECT_EQ(partial_path(folder / "p.parquet"), folder / "p.parquet.partial");
  EXPECT_EQ(folder.names(), std::vector<std::string>());
  fs::create_directory(folder / ".charm");
  EXPECT_EQ(partial_path(folder / "p.parquet"), folder / ".charm/p.parquet.partial");
}

TEST(Companions, StandOutsideOfAFolderThatHoldsParquetAlone) {
  const testing::TempFolder folder;
  keep_companions_outside(folder / "scores");
  EXPECT_EQ(companion_folder(folder / "scores"), folder / ".charm/scores");
  EXPECT_EQ(companion_path(folder / "scores/a.parquet", ".journal"),
            folder / ".charm/scores/a.parquet.journal");
  EXPECT_TRUE(fs::is_empty(folder / "scores"));
  keep_companions_outside(folder / "run/scores/rm", folder / "run");
  EXPECT_EQ(companion_folder(folder / "run/scores/rm/"), folder / "run/.charm/scores/rm");
  EXPECT_EQ(companion_folder(folder / "run/scores/other"), folder / "run/scores/other/.charm");
}

TEST(Companions, AllSpellingsOfAFolderAgree) {
  const testing::TempFolder folder;
  keep_companions_outside(folder / "scores");
  fs::create_directory_symlink(folder / "scores", folder / "link");
  EXPECT_EQ(companion_folder(folder / "link"), folder / ".charm/scores");
  EXPECT_EQ(companion_folder(folder / "scores/../scores"), folder / ".charm/scores");
  const fs::path before = fs::current_path();
  fs::current_path(folder / "scores");
  EXPECT_EQ(companion_path("a.parquet", ".lock"), fs::path("../.charm/scores/a.parquet.lock"));
  fs::current_path(folder.path());
  EXPECT_EQ(companion_path("scores/a.parquet", ".lock"), fs::path(".charm/scores/a.parquet.lock"));
  fs::current_path(before);
}

TEST(Companions, StayInsideWhereTheParentIsNoPlaceForThem) {
  const testing::TempFolder folder;
  // Not in the root.
  keep_companions_outside(folder / "a", folder / "b");
  EXPECT_EQ(companion_folder(folder / "a"), folder / "a/.charm");
  // Once inside, always inside.
  keep_companions_outside(folder / "a");
  EXPECT_EQ(companion_folder(folder / "a"), folder / "a/.charm");
  if (::access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "no second file system to write to";
  // A mounted folder, as a container's volume: what is written beside it does not stay.
  const fs::path mounted = "/dev/shm";
  keep_companions_outside(mounted);
  const fs::path inside = companion_folder(mounted);
  EXPECT_EQ(inside, mounted / ".charm");
  fs::remove(inside);
}

}  // namespace
}  // namespace charm
