#include "charm/storage/record_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/file_reader.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>

#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

// Bytes that need care in JSON and Parquet.
const std::string kOddText(
    "nul \x00 \xEF\xBB\xBF \xE2\x80\xA8 \x1f \r\n \"quoted\\\" \xF0\x9F\xA7\xAA\t", 36);
const std::vector<std::string> kNames = {"rows.parquet", "rows.jsonl", "rows.jsonl.gz"};

std::vector<ScoredResponse> scored_rows() {
  std::vector<ScoredResponse> rows(3);
  rows[0].response = {"a", {{"system", ""}, {"user", kOddText}}, kOddText, "p", 0, "stop", 12};
  rows[0].score = 0.1f;
  rows[0].num_tokens = 34;
  rows[1].response = {"a", {{"user", "Hi"}}, "", "p", 1, std::nullopt, std::nullopt};
  rows[1].error = "too long";
  rows[2].response = {"b", {{"user", "Hi"}}, "x", "p", 0, std::nullopt, std::nullopt};
  rows[2].score = -std::numeric_limits<float>::denorm_min();
  rows[2].truncated = true;
  return rows;
}

// Names and types of all columns, nested ones too.
std::string schema_of_parquet(const fs::path& path) {
  const auto file = parquet::ParquetFileReader::OpenFile(path.string());
  return file->metadata()->schema()->ToString();
}

TEST(WriteScores, AFlippedBitIsAnError) {
  const TempFolder folder;
  std::vector<ScoredResponse> rows(2000);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].response = {std::to_string(i), {{"user", "Hi"}}, "", "p", 0,
                        std::nullopt,      std::nullopt};
    rows[i].score = 0.001f * static_cast<float>(i);
  }
  write_scores(folder / "rows.parquet", rows);
  const std::string whole = read_file(folder / "rows.parquet");
  for (std::size_t at = 64; at + 64 < whole.size(); at += whole.size() / 40) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    write_file(folder / "rows.parquet", bytes);
    std::vector<ScoredResponse> found;
    try {
      found = read_scored_responses(folder / "rows.parquet", {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      continue;
    }
    ASSERT_EQ(found.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(found[i].score, rows[i].score);
  }
}

TEST(WriteScores, RoundTripsEveryField) {
  const TempFolder folder;
  for (const std::string& name : kNames) {
    const auto rows = scored_rows();
    write_scores(folder / name, rows);
    const auto back = read_scored_responses(folder / name, {});
    ASSERT_EQ(back.size(), rows.size()) << name;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(back[i].response.prompt_id, rows[i].response.prompt_id) << name;
      EXPECT_EQ(back[i].response.prompt, rows[i].response.prompt) << name;
      EXPECT_EQ(back[i].response.response, rows[i].response.response) << name;
      EXPECT_EQ(back[i].response.policy, rows[i].response.policy) << name;
      EXPECT_EQ(back[i].response.sample, rows[i].response.sample) << name;
      EXPECT_EQ(back[i].response.finish_reason, rows[i].response.finish_reason) << name;
      EXPECT_EQ(back[i].response.num_tokens, rows[i].response.num_tokens) << name;
      EXPECT_EQ(back[i].score, rows[i].score) << name;
      EXPECT_EQ(back[i].num_tokens, rows[i].num_tokens) << name;
      EXPECT_EQ(back[i].truncated, rows[i].truncated) << name;
      EXPECT_EQ(back[i].error, rows[i].error) << name;
    }
  }
}

// The names of a JSON lines file's first row, and of its first message.
std::pair<std::vector<std::string>, std::vector<std::string>> names_of(const fs::path& path) {
  const std::string text = read_file(path);
  const auto row = nlohmann::ordered_json::parse(text.substr(0, text.find('\n')));
  std::pair<std::vector<std::string>, std::vector<std::string>> names;
  for (const auto& [name, value] : row.items()) names.first.push_back(name);
  for (const auto& [name, value] : row["prompt"][0].items()) names.second.push_back(name);
  return names;
}

TEST(WriteScores, TheColumnsAreAlwaysTheSame) {
  // A folder of several policies is one table for readers.
  const TempFolder folder;
  auto rows = scored_rows();
  rows[0].response.prompt.tools = R"([{"name":"f"}])";
  rows[0].response.members = R"({"reasoning_content":"because"})";
  write_scores(folder / "with.jsonl", rows);
  write_scores(folder / "with.parquet", rows);
  for (ScoredResponse& row : rows) {
    row.response.num_tokens.reset();
    row.response.prompt.tools.clear();
    row.response.members.clear();
  }
  write_scores(folder / "without.jsonl", rows);
  write_scores(folder / "without.parquet", rows);
  const std::vector<std::string> expected = {"prompt_id",
                                             "prompt",
                                             "response",
                                             "policy",
                                             "sample",
                                             "finish_reason",
                                             "tools",
                                             "chat_template_kwargs",
                                             "response_members",
                                             "response_num_tokens",
                                             "score",
                                             "num_tokens",
                                             "truncated",
                                             "error"};
  EXPECT_EQ(names_of(folder / "with.jsonl").first, expected);
  EXPECT_EQ(names_of(folder / "without.jsonl").first, expected);
  EXPECT_EQ(schema_of_parquet(folder / "with.parquet"),
            schema_of_parquet(folder / "without.parquet"));
  EXPECT_THAT(schema_of_parquet(folder / "without.parquet"), HasSubstr("members"));
}

TEST(WriteResponses, TheColumnsAreAlwaysTheSame) {
  const TempFolder folder;
  std::vector<Response> rows;
  for (const ScoredResponse& row : scored_rows()) rows.push_back(row.response);
  write_responses(folder / "without.parquet", rows);
  rows[1].prompt[0].members = R"({"name":"n"})";
  rows[2].prompt.tools = R"([{"name":"f"}])";
  write_responses(folder / "with.parquet", rows);
  EXPECT_EQ(schema_of_parquet(folder / "with.parquet"),
            schema_of_parquet(folder / "without.parquet"));
}

TEST(WriteResponses, RoundTrips) {
  const TempFolder folder;
  for (const std::string& name : kNames) {
    std::vector<Response> rows;
    for (const ScoredResponse& row : scored_rows()) rows.push_back(row.response);
    write_responses(folder / name, rows);
    const auto back = read_responses(folder / name, {});
    ASSERT_EQ(back.size(), rows.size());
    EXPECT_EQ(back[0].num_tokens, 12);
    EXPECT_EQ(back[0].response, kOddText);
    EXPECT_EQ(back[1].sample, 1);
  }
}

TEST(WritePrompts, RoundTrips) {
  const TempFolder folder;
  const std::vector<Prompt> rows = {{"a", {{"user", kOddText}}},
                                    {"b", {{"system", "s"}, {"user", ""}}}};
  for (const std::string& name : kNames) {
    write_prompts(folder / name, rows);
    const auto back = read_prompts(folder / name, {});
    ASSERT_EQ(back.size(), 2u);
    EXPECT_EQ(back[0].messages, rows[0].messages);
    EXPECT_EQ(back[1].messages, rows[1].messages);
    EXPECT_EQ(back[1].prompt_id, "b");
  }
}

TEST(WritePreferences, RoundTrips) {
  const TempFolder folder;
  std::vector<PreferencePair> rows(2);
  rows[0] = {"a",
             {{"user", "q"}, {"assistant", kOddText}},
             {{"user", "q"}, {"assistant", ""}},
             0.1,
             -0.2,
             0.3,
             "x",
             "y"};
  rows[1].prompt_id = "b";
  rows[1].chosen = rows[1].rejected = rows[0].chosen;
  for (const std::string& name : kNames) {
    write_preferences(folder / name, rows);
    const auto back = read_preferences(folder / name, {});
    ASSERT_EQ(back.size(), 2u);
    EXPECT_EQ(back[0].chosen, rows[0].chosen);
    EXPECT_EQ(back[0].rejected, rows[0].rejected);
    EXPECT_EQ(back[0].margin, 0.3);
    EXPECT_EQ(back[0].policy_rejected, "y");
    EXPECT_FALSE(back[1].score_chosen.has_value());
    EXPECT_EQ(back[1].prompt_id, "b");
  }
}

TEST(WritePreferences, PairsWithoutScoresHaveNoColumnsOfNulls) {
  // TRL's RewardTrainer subtracts a column `margin`, and fails on null.
  const TempFolder folder;
  std::vector<PreferencePair> rows(1);
  rows[0].prompt_id = "a";
  rows[0].chosen = {{"user", "q"}, {"assistant", "yes"}};
  rows[0].rejected = {{"user", "q"}, {"assistant", "no"}};
  write_preferences(folder / "p.jsonl", rows);
  EXPECT_THAT(read_file(folder / "p.jsonl"), Not(HasSubstr("margin")));
  EXPECT_FALSE(read_preferences(folder / "p.jsonl", {})[0].margin.has_value());
  rows[0].score_chosen = 2.0;
  rows[0].score_rejected = 0.5;
  rows[0].margin = 1.5;
  write_preferences(folder / "p.jsonl", rows);
  EXPECT_THAT(read_file(folder / "p.jsonl"),
              HasSubstr(R"("score_chosen":2.0,"score_rejected":0.5,"margin":1.5)"));
}

TEST(Writers, TheSameRowsGiveTheSameBytes) {
  const TempFolder folder;
  for (const std::string& name : kNames) {
    write_scores(folder / name, scored_rows());
    const std::string first = read_file(folder / name);
    write_scores(folder / name, scored_rows());
    EXPECT_EQ(read_file(folder / name), first) << name;
  }
  EXPECT_EQ(folder.names().size(), kNames.size()) << "leftover files";
}

TEST(Writers, ManyRowsMakeSeveralRowGroups) {
  const TempFolder folder;
  std::vector<Prompt> rows;
  for (int i = 0; i < 40000; ++i)
    rows.push_back({fmt::format("id{}", i), {{"user", fmt::format("question {}", i)}}});
  write_prompts(folder / "p.parquet", rows);
  const auto back = read_prompts(folder / "p.parquet", {});
  ASSERT_EQ(back.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); i += 997) EXPECT_EQ(back[i].messages, rows[i].messages);
  EXPECT_EQ(back.back().prompt_id, "id39999");
}

TEST(Writers, AnUnknownExtensionIsAUsageError) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { write_prompts(folder / "p.csv", std::vector<Prompt>{}); }).kind(),
            ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { require_known_extension("scores"); }).kind(), ErrorKind::kUsage);
  EXPECT_TRUE(folder.names().empty());
}

TEST(Writers, AFullDiskLeavesNothing) {
  const TempFolder folder;
  std::vector<Prompt> rows;
  std::uint64_t state = 1;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (int k = 0; k < 40; ++k)
      text += fmt::format("{:x}", state = state * 6364136223846793005u + 1442695040888963407u);
    rows.push_back({fmt::format("id{}", i), {{"user", text}}});
  }
  // A file size limit simulates a full disk: write() fails the same way.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 100000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::vector<ErrorKind> kinds;
  for (const std::string& name : kNames)
    kinds.push_back(error_of([&] { write_prompts(folder / name, rows); }).kind());
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(kinds, std::vector<ErrorKind>(kNames.size(), ErrorKind::kIo));
  EXPECT_TRUE(folder.names().empty());
}

TEST(Writers, AnUnwritablePathIsAnIoError) {
  const TempFolder folder;
  folder.file("file", "x");
  for (const std::string& name : kNames) {
    const Error error = error_of([&] {
      write_prompts(folder / "file" / name, std::vector<Prompt>{{"a", {{"user", "q"}}}});
    });
    EXPECT_EQ(error.kind(), ErrorKind::kIo) << name;
  }
}

TEST(WriteJsonl, FloatsAreShortAndNullsAreWritten) {
  const TempFolder folder;
  write_scores(folder / "s.jsonl", scored_rows());
  const std::string text = read_file(folder / "s.jsonl");
  EXPECT_THAT(text, HasSubstr("\"score\":0.1,"));
  EXPECT_THAT(text, HasSubstr("\"score\":null,"));
}

}  // namespace
}  // namespace charm::storage
