// Which cases are collected from results of each kind.

#include "charm/report/cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "charm/base/hashing.h"
#include "charm/records/eval_item.h"
#include "charm/records/response.h"
#include "charm/report/case_collector.h"
#include "charm/stats/vote_table.h"
#include "charm/storage/record_writer.h"
#include "charm/storage/votes.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::ordered_json;

/// A run of two policies: on prompt i `loud` has score i - 3 and `quiet` 0, for i = 0 .. 9.
class CollectCases : public ::testing::Test {
 protected:
  fs::path scores(const std::string& policy, bool is_loud, const std::string& name) {
    std::vector<ScoredResponse> rows;
    for (int i = 0; i < 10; ++i) {
      ScoredResponse& row = rows.emplace_back();
      row.response = {
          .prompt_id = "p" + std::to_string(i),
          .prompt = {{"user", "question " + std::to_string(i)}},
          .response =
              std::string(static_cast<std::size_t>(is_loud ? 10 * (i + 1) : 5), 'x') + policy,
          .policy = policy};
      row.score = is_loud ? static_cast<float>(i) - 3.0f : 0.0f;
    }
    storage::write_scores(folder_ / name, rows);
    return folder_ / name;
  }

  void write_scores() {
    files_ = {scores("loud", true, "scores/rm/loud.parquet"),
              scores("quiet", false, "scores/rm/quiet.parquet")};
  }

  std::vector<results::InputFile> inputs() const {
    std::vector<results::InputFile> inputs;
    for (const fs::path& path : files_) inputs.push_back({path, sha256_file(path)});
    return inputs;
  }

  MismatchFile mismatch(double loud_over_quiet) const {
    MismatchFile file;
    file.model = "rm";
    file.inputs = inputs();
    for (const double sign : {1.0, -1.0}) {
      results::Pair& pair = file.pairs.emplace_back();
      pair.policy = sign > 0.0 ? "loud" : "quiet";
      pair.reference = sign > 0.0 ? "quiet" : "loud";
      pair.before.mismatch.value = sign * loud_over_quiet;
    }
    return file;
  }

  CaseSet collect(std::int64_t per_cell) const {
    RunData run = run_;
    run.folder = folder_.path();
    return collect_cases(run, per_cell, /*seed=*/0, {});
  }

  /// Prompt ids of a cell's largest differences, in order.
  static std::vector<std::string> largest(const CaseSet& set, std::size_t cell = 0) {
    std::vector<std::string> ids;
    for (const SelectedCase& one : set.cells[cell].cases) {
      if (one.is_largest) ids.push_back(set.cases[one.index].prompt_id);
    }
    return ids;
  }

  static const std::string& text(const CaseSet& set, const std::optional<std::size_t>& place) {
    return set.texts.texts().at(place.value()).text;
  }

  const testing::TempFolder folder_;
  std::vector<fs::path> files_;
  RunData run_;
};

TEST_F(CollectCases, OfAPairItsLargestDifferencesInTheDirectionOfTheMismatch) {
  write_scores();
  run_.mismatches = {mismatch(0.4)};
  CaseSet set = collect(6);
  ASSERT_EQ(set.cells.size(), 1u);  // both orders of the pair
  EXPECT_EQ(set.cells[0].a, "loud");
  EXPECT_EQ(set.cells[0].total, 10);
  EXPECT_THAT(largest(set), ElementsAre("p9", "p8", "p7"));
  const Case& one = set.cases[set.cells[0].cases[0].index];
  EXPECT_EQ(text(set, one.prompt), "question 9");
  EXPECT_EQ(text(set, one.a.text), std::string(100, 'x') + "loud");
  EXPECT_EQ(text(set, one.b.text), "xxxxxquiet");
  EXPECT_EQ(one.a.score, 6.0);
  EXPECT_FALSE(one.a.score_after);
  EXPECT_NE(set.link("md/rm", "quiet", "loud"), "");
  // `loud` under-valued: what it loses by most; the same cases keep their ids.
  run_.mismatches = {mismatch(-0.4)};
  const std::string id = one.id;
  set = collect(20);
  EXPECT_EQ(set.cells[0].a, "quiet");
  EXPECT_EQ(largest(set)[0], "p0");
  EXPECT_TRUE(std::ranges::any_of(set.cases, [&](const Case& other) { return other.id == id; }));
}

TEST_F(CollectCases, OfAnOffsetItsFlipsComeFirst) {
  write_scores();
  CalibrationFile file;
  file.model = "rm";
  file.set = "duo";
  file.reference = "quiet";
  file.inputs = inputs();
  file.policies = {{.policy = "quiet", .offset = {.value = 0.5}},
                   {.policy = "loud", .offset = {.value = -1.0}}};
  run_.calibrations = {file};
  const CaseSet set = collect(6);
  ASSERT_EQ(set.cells.size(), 1u);
  // Differences of 1 become -0.5, ties (p3) become losses; then the largest wins.
  EXPECT_THAT(largest(set), ElementsAre("p4", "p3", "p9"));
  EXPECT_EQ(set.cases[0].a.score_after, 0.0);
  EXPECT_EQ(set.cases[0].b.score_after, 0.5);
  EXPECT_NE(set.link("offsets/rm/duo", "loud", "quiet"), "");
}

/// Prompt ids of all cases of a cell.
std::set<std::string> prompts_of(const CaseSet& set, const CaseCell& cell) {
  std::set<std::string> ids;
  for (const SelectedCase& one : cell.cases) ids.insert(set.cases[one.index].prompt_id);
  return ids;
}

TEST_F(CollectCases, OfHeldOutPromptsThoseThatTheOffsetsWereNotFittedTo) {
  write_scores();
  CalibrationFile file;
  file.model = "rm";
  file.set = "duo";
  file.reference = "quiet";
  file.inputs = inputs();
  file.options.seed = 5;
  file.policies = {{.policy = "quiet"}, {.policy = "loud", .offset = {.value = -1.0}}};
  file.held_out = results::HeldOut{.share = 0.4};
  run_.calibrations = {file};
  const CaseSet set = collect(20);
  std::set<std::string> fit, held_out;
  for (int i = 0; i < 10; ++i) {
    const std::string number = std::to_string(i);
    (is_held_out({{"user", "question " + number}}, 5, 0.4) ? held_out : fit).insert("p" + number);
  }
  ASSERT_FALSE(held_out.empty());
  ASSERT_EQ(set.cells.size(), 2u);
  EXPECT_EQ(prompts_of(set, set.cells[0]), fit);
  EXPECT_EQ(prompts_of(set, set.cells[1]), held_out);
  EXPECT_EQ(set.cells[1].total, std::ssize(held_out));
  EXPECT_NE(set.link("held-out/rm/duo", "loud", "quiet"), "");
  EXPECT_THAT(set.groups[1].notes, IsEmpty());
}

TEST_F(CollectCases, HeldOutPromptsMayBeFilesOfTheirOwn) {
  write_scores();
  const std::vector<fs::path> fit = files_;
  // The run's other half: the recorded files of the fit come first.
  files_.push_back(scores("loud", true, "splits/held-out/rm/loud.parquet"));
  files_.push_back(scores("quiet", false, "splits/held-out/rm/quiet.parquet"));
  CalibrationFile file;
  file.model = "rm";
  file.set = "duo";
  file.reference = "quiet";
  file.inputs = inputs();
  file.policies = {{.policy = "quiet"}, {.policy = "loud", .offset = {.value = -1.0}}};
  file.held_out = results::HeldOut{};
  run_.calibrations = {file};
  CaseSet set = collect(4);
  ASSERT_EQ(set.cells.size(), 2u);
  EXPECT_THAT(set.groups[1].notes, IsEmpty());
  EXPECT_EQ(text(set, set.cases[set.cells[1].cases[0].index].b.text), "xxxxxquiet");
  // Without them there is a note, not the cases of the fit.
  files_ = fit;
  run_.calibrations[0].inputs = inputs();
  set = collect(4);
  ASSERT_EQ(set.cells.size(), 1u);
  EXPECT_THAT(set.groups[1].notes, ElementsAre(HasSubstr("held-out prompts were not found")));
}

TEST_F(CollectCases, MovedAndMissingFilesAreNamed) {
  write_scores();
  run_.mismatches = {mismatch(0.4)};
  for (results::InputFile& input : run_.mismatches[0].inputs)
    input.path = "old/run/scores/rm" / input.path.filename();
  EXPECT_EQ(collect(6).cells.size(), 1u);  // found in the run's folder
  fs::remove(files_[1]);
  const CaseSet set = collect(6);
  EXPECT_THAT(set.cells, IsEmpty());
  ASSERT_EQ(set.groups.size(), 1u);
  EXPECT_THAT(set.groups[0].notes,
              ElementsAre(HasSubstr("old/run/scores/rm/quiet.parquet was not found"),
                          HasSubstr("loud against quiet: no scores were found")));
}

TEST_F(CollectCases, AModelThatWasMeasuredTwiceHasTwoGroups) {
  write_scores();
  run_.mismatches = {mismatch(0.4), mismatch(0.2)};
  const CaseSet set = collect(6);
  ASSERT_EQ(set.groups.size(), 2u);
  EXPECT_EQ(set.groups[0].key, "md/rm");
  EXPECT_EQ(set.groups[1].key, "md/rm/2");
  EXPECT_EQ(set.link("md/rm/2", "loud", "quiet"), "#cases=md%2Frm%2F2&a=loud&b=quiet");
}

TEST_F(CollectCases, ChangedFilesAreNamed) {
  write_scores();
  run_.mismatches = {mismatch(0.4)};
  EXPECT_THAT(collect(6).groups[0].notes, IsEmpty());
  scores("loud", false, "scores/rm/loud.parquet");
  EXPECT_THAT(collect(6).groups[0].notes,
              ElementsAre(HasSubstr("loud.parquet has changed since the numbers were computed")));
}

TEST_F(CollectCases, ScoresWithoutTextsSayThatTheyHaveNone) {
  std::string lines;
  for (const char* policy : {"loud", "quiet"}) {
    for (int i = 0; i < 5; ++i) {
      lines +=
          Json({{"prompt_id", "p" + std::to_string(i)}, {"policy", policy}, {"score", i}}).dump() +
          "\n";
    }
  }
  files_ = {folder_.file("bare.jsonl", lines)};
  run_.mismatches = {mismatch(0.4)};
  const CaseSet set = collect(4);
  ASSERT_EQ(set.cells.size(), 1u);
  EXPECT_FALSE(set.cases[0].a.text);
  ASSERT_EQ(set.groups[0].notes.size(), 1u);
  EXPECT_THAT(set.groups[0].notes[0], HasSubstr("bare.jsonl"));
}

/// Votes between loud (a) and quiet (b) with margins 3, 2, 1 and people's choice.
class CollectVotes : public CollectCases {
 protected:
  void write_votes(bool with_texts) {
    std::string lines;
    const std::vector<std::pair<double, const char*>> votes = {
        {3.0, "model_a"}, {2.0, "model_b"}, {1.0, "model_b"}, {-1.0, "model_a"}, {0.5, "tie"}};
    for (std::size_t v = 0; v < votes.size(); ++v) {
      Json row = {{"prompt_id", "q" + std::to_string(v)},
                  {"model_a", "loud"},
                  {"model_b", "quiet"},
                  {"winner", votes[v].second},
                  {"judge", "j"},
                  {"score_a", votes[v].first},
                  {"score_b", 0.0}};
      if (with_texts) {
        for (const char* side : {"a", "b"}) {
          row[std::string("conversation_") + side] =
              Json::array({{{"role", "user"}, {"content", "question " + std::to_string(v)}},
                           {{"role", "assistant"}, {"content", std::string("answer of ") + side}}});
        }
      }
      lines += row.dump() + "\n";
    }
    files_ = {folder_.file("votes.jsonl", lines)};
  }
};

TEST_F(CollectVotes, ContradictedVotesComeFirst) {
  write_votes(/*with_texts=*/true);
  run_.mismatches = {mismatch(0.2)};
  run_.mismatches[0].votes.emplace();
  const CaseSet set = collect(10);
  ASSERT_EQ(set.cells.size(), 1u);
  EXPECT_THAT(largest(set), ElementsAre("q1", "q2", "q4", "q0", "q3"));
  const Case& one = set.cases[0];
  EXPECT_EQ(one.vote, 0.0);
  EXPECT_EQ(one.judge, "j");
  EXPECT_EQ(text(set, one.prompt), "question 1");
  EXPECT_EQ(text(set, one.a.text), "answer of a");
  EXPECT_THAT(set.groups[0].notes, IsEmpty());
}

TEST_F(CollectVotes, FilesAreToldByTheirColumns) {
  write_votes(/*with_texts=*/true);
  EXPECT_TRUE(holds_votes(files_[0]));
  EXPECT_FALSE(holds_scores(files_[0]));
  write_scores();
  EXPECT_TRUE(holds_scores(files_[0]));
  EXPECT_FALSE(holds_votes(files_[0]));
  const fs::path ratings = folder_.file("ratings.json", R"([{"name": "loud", "score": 1000}])");
  EXPECT_FALSE(holds_scores(ratings) || holds_votes(ratings));
}

TEST_F(CollectVotes, SeenFromTheOverValuedPolicy) {
  write_votes(/*with_texts=*/true);
  run_.mismatches = {mismatch(-0.2)};
  run_.mismatches[0].votes.emplace();
  const CaseSet set = collect(10);
  EXPECT_EQ(largest(set)[0], "q3");
  EXPECT_EQ(set.cases[0].a.name, "quiet");
  EXPECT_EQ(set.cases[0].a.score, 0.0);
  EXPECT_EQ(set.cases[0].vote, 0.0);
  EXPECT_EQ(text(set, set.cases[0].a.text), "answer of b");
}

TEST_F(CollectVotes, OfOffsetsTheFlipsComeFirst) {
  write_votes(/*with_texts=*/false);
  CalibrationFile file;
  file.model = "rm";
  file.set = "votes";
  file.reference = "quiet";
  file.inputs = inputs();
  file.votes.emplace();
  file.policies = {{.policy = "quiet", .offset = {.value = 0.0}},
                   {.policy = "loud", .offset = {.value = -1.5}}};
  run_.calibrations = {file};
  const CaseSet set = collect(4);
  EXPECT_THAT(largest(set), ElementsAre("q2", "q4"));
  EXPECT_EQ(set.cases[0].a.score_after, -0.5);
  EXPECT_THAT(set.groups[0].notes, ElementsAre(HasSubstr("cases have no texts")));
}

TEST_F(CollectVotes, HeldOutVotesAreApart) {
  write_votes(/*with_texts=*/true);
  CalibrationFile file;
  file.model = "rm";
  file.set = "votes";
  file.reference = "quiet";
  file.inputs = inputs();
  file.options.seed = 2;
  file.votes.emplace();
  file.votes->holdout = 0.5;
  file.held_out = results::HeldOut{.share = 0.5};
  file.policies = {{.policy = "quiet"}, {.policy = "loud", .offset = {.value = -1.5}}};
  run_.calibrations = {file};
  const CaseSet set = collect(20);
  std::set<std::string> fit, held_out;
  for (int v = 0; v < 5; ++v) {
    const std::string id = "q" + std::to_string(v);
    (stats::is_held_out({.prompt_id = id}, 2, 0.5) ? held_out : fit).insert(id);
  }
  ASSERT_FALSE(fit.empty() || held_out.empty());
  ASSERT_EQ(set.cells.size(), 2u);
  EXPECT_EQ(prompts_of(set, set.cells[0]), fit);
  EXPECT_EQ(prompts_of(set, set.cells[1]), held_out);
  EXPECT_NE(set.link("held-out/rm/votes", "loud", "quiet"), "");
}

TEST_F(CollectCases, OfABenchmarkTheWorstPairOfEachRow) {
  ScoredEvalItem right{
      {"1", "chat", {{"user", "q1"}}, {"a", "b", "c"}, {"d", "e", "f"}}, {3, 4, 5}, {0, 1, 2}};
  ScoredEvalItem wrong{
      {"2", "chat", {{"user", "q2"}}, {"a", "b", "c"}, {"d", "e", "f"}}, {3, -4, 5}, {0, 1, 2}};
  const std::vector<ScoredEvalItem> rows = {right, wrong};
  storage::write_eval_scores(folder_ / "eval/rm/rm-bench.scores.parquet", rows,
                             storage::EvalShape::kLists);
  EvaluationFile file{.model = "rm", .benchmark = "rm-bench"};
  file.result.benchmark = "rm-bench";
  file.file = folder_ / "eval/rm/rm-bench.json";
  run_.evaluations = {file};
  const CaseSet set = collect(4);
  ASSERT_EQ(set.cells.size(), 1u);
  EXPECT_EQ(set.cells[0].part, "chat");
  EXPECT_THAT(largest(set), ElementsAre("2", "1"));
  EXPECT_EQ(set.cases[0].a.score, -4.0);
  EXPECT_EQ(set.cases[0].b.score, 2.0);
  EXPECT_EQ(text(set, set.cases[0].a.text), "b");
  EXPECT_EQ(text(set, set.cases[0].b.text), "f");
  EXPECT_NE(set.link("eval/rm/rm-bench", "", "", "chat"), "");
}

TEST_F(CollectCases, OfAnAuditThePicksThatTheCorrectionChanges) {
  write_scores();
  write_file(folder_ / "calibration.json",
             R"({"reference": "quiet", "policies": [{"policy": "quiet", "offset": 0.0},
                 {"policy": "loud", "offset": -2.5}]})");
  EvaluationFile file{.model = "rm", .benchmark = "best-of-n"};
  file.result.benchmark = "best-of-n";
  file.file = folder_ / "eval/rm/best-of-n.json";
  file.result.picks = {{.n = 1, .measures = {{.name = "length"}}, .policies = {{.name = "loud"}}}};
  Json manifest = {{"inputs", Json::array()}, {"scores", Json::array()}};
  for (const fs::path& path : files_) {
    manifest["scores"].push_back(path.string());
    manifest["inputs"].push_back({{"path", path.string()}});
  }
  manifest["inputs"].push_back({{"path", (folder_ / "calibration.json").string()}});
  write_file(folder_ / "eval/rm/best-of-n.json.manifest.json", manifest.dump());
  run_.evaluations = {file};
  const CaseSet set = collect(4);
  ASSERT_EQ(set.cells.size(), 2u);
  EXPECT_EQ(set.cells[0].part, "length");
  EXPECT_EQ(set.cells[1].part, "share of loud");
  // loud is picked on p4 .. p9 before, on p6 .. p9 after: p5 (65 characters longer) and p4 change.
  EXPECT_THAT(largest(set, 0), ElementsAre("p5", "p4"));
  EXPECT_THAT(largest(set, 1), UnorderedElementsAre("p5", "p4"));
  const Case& one = set.cases[0];
  EXPECT_EQ(one.a.name, "loud");
  EXPECT_EQ(one.b.name, "quiet");
  EXPECT_EQ(one.a.score_after, -0.5);
  EXPECT_EQ(text(set, one.b.text), "xxxxxquiet");
}

}  // namespace
}  // namespace charm::report
