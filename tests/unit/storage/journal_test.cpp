#include "charm/storage/journal.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::TempFolder;
using nlohmann::json;

TEST(Journal, RestoresGroupsOfAnInterruptedRunInOrder) {
  const TempFolder folder;
  const fs::path output = folder / "new/scores.parquet";
  {
    Journal journal(output, "f");
    EXPECT_TRUE(journal.take_finished().empty());
    journal.append({{"rows", {1, 2}}});
    journal.append({{"text", "line\nbreak"}});
  }
  Journal journal(output, "f");
  EXPECT_EQ(journal.take_finished(),
            (std::vector<json>{{{"rows", {1, 2}}}, {{"text", "line\nbreak"}}}));
  EXPECT_TRUE(journal.take_finished().empty());
  journal.append({{"rows", {3}}});
  EXPECT_EQ(Journal(output, "f").take_finished().size(), 3u);
  EXPECT_EQ(journal.path(), folder / "new/.charm/scores.parquet.journal");
}

TEST(Journal, DropsAPartialLineOfAnyLength) {
  const TempFolder folder;
  const fs::path output = folder / "out";
  {
    Journal journal(output, "f");
    journal.append({{"group", 1}});
    journal.append({{"group", 2}});
  }
  const std::string whole = read_file(journal_path(output));
  const std::size_t header = whole.find('\n') + 1;
  const std::size_t first = whole.find('\n', header) + 1;
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    write_file(journal_path(output), whole.substr(0, length));
    const std::size_t expected = length < first ? 0 : length < whole.size() ? 1 : 2;
    {
      Journal journal(output, "f");
      EXPECT_EQ(journal.take_finished().size(), expected) << length;
      journal.append({{"group", 3}});
    }
    Journal again(output, "f");
    const auto groups = again.take_finished();
    ASSERT_EQ(groups.size(), expected + 1) << length;
    EXPECT_EQ(groups.back(), json({{"group", 3}})) << length;
  }
}

TEST(Journal, DropsEverythingFromTheFirstInvalidLine) {
  const TempFolder folder;
  const fs::path output = folder / "out";
  Journal(output, "f").append({{"group", 1}});
  LineAppender(journal_path(output)).append(std::string(20, '\0'));
  LineAppender(journal_path(output)).append("{\"group\":2}");
  EXPECT_EQ(Journal(output, "f").take_finished().size(), 1u);
}

TEST(Journal, AnotherFingerprintOrFreshStartsOver) {
  const TempFolder folder;
  const fs::path output = folder / "out";
  Journal(output, "f").append({{"group", 1}});
  EXPECT_TRUE(Journal(output, "g").take_finished().empty());
  EXPECT_TRUE(Journal(output, "f").take_finished().empty())
      << "the other run's groups are discarded";
  Journal(output, "f").append({{"group", 1}});
  EXPECT_TRUE(Journal(output, "f", /*fresh=*/true).take_finished().empty());
}

TEST(Journal, RemoveDeletesTheFile) {
  const TempFolder folder;
  Journal journal(folder / "out", "f");
  journal.append({{"group", 1}});
  journal.remove();
  EXPECT_TRUE(folder.names().empty());
}

TEST(JournalPath, OfAFolderWithATrailingSlash) {
  EXPECT_EQ(journal_path("run/model/"), "run/model.journal");
}

TEST(Journal, RemembersItsOwner) {
  const TempFolder folder;
  EXPECT_EQ(journal_owner(folder / "out"), "");
  {
    Journal journal(folder / "out", "f", /*fresh=*/false, "model a");
  }
  EXPECT_EQ(journal_owner(folder / "out"), "model a");
  {
    Journal journal(folder / "other", "f");
  }
  EXPECT_EQ(journal_owner(folder / "other"), "");
  write_file(journal_path(folder / "broken"), "no JSON\n");
  EXPECT_EQ(journal_owner(folder / "broken"), "");
}

}  // namespace
}  // namespace charm::storage
