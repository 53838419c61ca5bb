#include "charm/storage/journal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

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

// Of each kind of output: a Parquet file (companions in .charm), any other file, a folder.
TEST(Journal, ThatOfOtherSettingsIsKeptAndContinues) {
  for (const char* name : {"scores.parquet", "new.jsonl", "model/"}) {
    const TempFolder folder;
    const fs::path output = folder / name;
    Journal(output, "f").append({{"group", "of f"}});
    {
      Journal other(output, "g");
      EXPECT_TRUE(other.take_finished().empty()) << name;
      other.append({{"group", "of g"}});
    }
    for (const char* settings : {"f", "g", "f"}) {
      EXPECT_EQ(Journal(output, settings).take_finished(),
                (std::vector<json>{{{"group", std::string("of ") + settings}}}))
          << name;
    }
    Journal(output, "g").remove();
    Journal last(output, "f");
    EXPECT_EQ(last.take_finished().size(), 1u) << name;
    last.remove();
    const fs::path companions = last.path().parent_path();
    EXPECT_EQ(std::distance(fs::directory_iterator(companions), fs::directory_iterator()), 0)
        << name;
  }
}

TEST(Journal, AWarningNamesTheJournalSetAside) {
  const TempFolder folder;
  const fs::path output = folder / "out";
  Journal(output, "f").append({{"group", 1}});
  ::testing::internal::CaptureStderr();
  Journal(output, "g").append({{"group", 2}});
  const std::string warning = ::testing::internal::GetCapturedStderr();
  ASSERT_EQ(folder.names().size(), 2u);
  for (const std::string& name : folder.names()) {
    if (name != "out.journal") {
      EXPECT_NE(warning.find(name), std::string::npos) << warning;
    }
  }
  EXPECT_NE(warning.find("--fresh"), std::string::npos) << warning;
}

TEST(Journal, FreshStartsOverAndDropsThoseSetAside) {
  const TempFolder folder;
  const fs::path output = folder / "out";
  Journal(output, "f").append({{"group", 1}});
  Journal(output, "g").append({{"group", 2}});
  Journal(folder / "out.b", "f").append({{"group", 3}});
  Journal(folder / "out.b", "g").append({{"group", 4}});
  EXPECT_TRUE(Journal(output, "f", /*fresh=*/true).take_finished().empty());
  EXPECT_TRUE(Journal(output, "g").take_finished().empty());
  EXPECT_EQ(Journal(folder / "out.b", "f").take_finished().size(), 1u) << "another output's";
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

TEST(Journal, ItsHeaderHasOwnerAndNote) {
  const TempFolder folder;
  EXPECT_FALSE(read_journal_header(folder / "out"));
  {
    Journal journal(folder / "out", "f", /*fresh=*/false, "model a", "{\"b\": 1}");
  }
  std::optional<JournalHeader> header = read_journal_header(folder / "out");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->fingerprint, "f");
  EXPECT_EQ(header->owner, "model a");
  EXPECT_EQ(header->note, "{\"b\": 1}");
  {
    Journal journal(folder / "other", "f");
  }
  header = read_journal_header(folder / "other");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->owner + header->note, "");
  write_file(journal_path(folder / "broken"), "no JSON\n");
  EXPECT_FALSE(read_journal_header(folder / "broken"));
  write_file(journal_path(folder / "incomplete"), "{\"charm_journal\":1,\"fingerprint\":\"f\"}");
  EXPECT_FALSE(read_journal_header(folder / "incomplete")) << "its writer has just begun";
}

TEST(Journal, AnotherNoteContinuesAndAnotherOwnerDoesNot) {
  const TempFolder folder;
  Journal(folder / "out", "f", /*fresh=*/false, "model a", "first").append({{"group", 1}});
  EXPECT_EQ(
      Journal(folder / "out", "f", /*fresh=*/false, "model a", "second").take_finished().size(),
      1u);
  EXPECT_EQ(read_journal_header(folder / "out")->note, "first");
  EXPECT_TRUE(Journal(folder / "out", "f", /*fresh=*/false, "model b").take_finished().empty());
  EXPECT_EQ(Journal(folder / "out", "f", /*fresh=*/false, "model a").take_finished().size(), 1u);
}

TEST(Journal, IsReadWhileAnotherProcessAppends) {
  const TempFolder folder;
  Journal journal(folder / "out", "f");
  journal.append({{"group", 1}});
  EXPECT_EQ(read_journal(folder / "out"), (std::vector<json>{{{"group", 1}}}));
  journal.append({{"group", 2}});
  std::ofstream(journal.path(), std::ios::app) << "{\"group\":";  // an incomplete line
  EXPECT_EQ(read_journal(folder / "out").size(), 2u);
  EXPECT_EQ(read_file(journal.path()).back(), ':') << "reading changes nothing";
}

}  // namespace
}  // namespace charm::storage
