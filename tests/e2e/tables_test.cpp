// Results as CSV, on standard output, and as a column of the scores; columns with other names.

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "charm/base/files.h"
#include "charm/storage/provenance.h"
#include "charm/storage/row_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Tables : public SmallWorld {
 protected:
  std::string ratings() const { return path("world/ratings.json"); }
  std::vector<std::string> measure(const std::string& output) const {
    return join(
        {{"measure", "--ratings", ratings(), "--bootstrap", "20", "--output", output, "--scores"},
         all_scores()});
  }
  std::vector<std::string> calibrate(const std::string& output) const {
    return join({{"calibrate", "--ratings", ratings(), "--reference", "helper", "--bootstrap", "20",
                  "--output", output, "--scores"},
                 all_scores()});
  }
  Outcome succeed(const std::vector<std::string>& arguments) const {
    Outcome outcome = run_charm(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }
  json read_json(const std::string& file) const { return json::parse(read_file(path(file))); }

  /// Records of a CSV file by RFC 4180.
  std::vector<std::vector<std::string>> records(const std::string& file) const {
    const std::string text = read_file(path(file));
    std::vector<std::vector<std::string>> all;
    std::vector<std::string> record(1);
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (quoted && text[i] == '"' && text.substr(i, 2) == "\"\"") {
        record.back() += text[i++];
      } else if (text[i] == '"') {
        quoted = !quoted;
      } else if (!quoted && text[i] == ',') {
        record.emplace_back();
      } else if (!quoted && text.substr(i, 2) == "\r\n") {
        all.push_back(std::exchange(record, std::vector<std::string>(1)));
        ++i;
      } else {
        EXPECT_TRUE(quoted || text[i] != '\n') << "a line without CR in " << file;
        record.back() += text[i];
      }
    }
    return all;
  }
  /// Records as maps by the header.
  std::vector<std::map<std::string, std::string>> rows(const std::string& file) const {
    std::vector<std::map<std::string, std::string>> all;
    const auto lines = records(file);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i].size(), lines[0].size()) << file << ":" << i + 1;
      auto& row = all.emplace_back();
      for (std::size_t k = 0; k < std::min(lines[i].size(), lines[0].size()); ++k)
        row[lines[0][k]] = lines[i][k];
    }
    return all;
  }
};

TEST_F(Tables, AResultWithANameInCsvIsATableOfTheJsonsNumbers) {
  score_all();
  succeed(measure(path("m.csv")));
  succeed(measure(path("m.json")));
  const json pairs = read_json("m.json")["pairs"];
  const auto measured = rows("m.csv");
  ASSERT_EQ(measured.size(), pairs.size());
  for (std::size_t i = 0; i < measured.size(); ++i) {
    EXPECT_EQ(measured[i].at("policy"), pairs[i]["policy"]);
    EXPECT_EQ(measured[i].at("reference"), pairs[i]["reference"]);
    EXPECT_EQ(std::stod(measured[i].at("mismatch_before")),
              pairs[i]["mismatch_before"].get<double>());
    EXPECT_EQ(std::stod(measured[i].at("mismatch_before_ci95_lo")),
              pairs[i]["mismatch_before_ci95"][0].get<double>());
  }
  succeed(calibrate(path("c.csv")));
  succeed(calibrate(path("c.json")));
  const json policies = read_json("c.json")["policies"];
  const auto calibrated = rows("c.csv");
  ASSERT_EQ(calibrated.size(), policies.size());
  for (std::size_t i = 0; i < calibrated.size(); ++i)
    EXPECT_EQ(std::stod(calibrated[i].at("offset")), policies[i]["offset"].get<double>());

  succeed(join({{"explain", "--calibration", path("c.json"), "--bootstrap", "0", "--output",
                 path("e.csv"), "--scores"},
                all_scores()}));
  EXPECT_THAT(read_file(path("e.csv")), testing::StartsWith("policy,reference,"));
  EXPECT_EQ(std::ranges::count(read_file(path("e.csv")), '\r'), 1 + std::ssize(policies) - 1);
}

TEST_F(Tables, EvaluationsAndComparisonsAreTablesOfTheirParts) {
  score_all();
  const auto evaluate = [&](const std::string& output) {
    return std::vector<std::string>{"evaluate",
                                    "--benchmark",
                                    "rm-bench",
                                    "--model",
                                    path("rm"),
                                    "--data",
                                    path("world/style_pairs.json"),
                                    "--bootstrap",
                                    "20",
                                    "--save-scores",
                                    path("saved.parquet"),
                                    "--output",
                                    output};
  };
  succeed(evaluate(path("b.csv")));
  succeed(evaluate(path("b.json")));
  const json result = read_json("b.json");
  std::map<std::string, std::string> scores;
  for (const auto& row : rows("b.csv"))
    scores[row.at("part") + "/" + row.at("name")] = row.at("score");
  EXPECT_EQ(std::stod(scores.at("overall/overall_partial")),
            result["overall_partial"].get<double>());
  for (const auto& [domain, value] : result["domains"].items())
    EXPECT_EQ(std::stod(scores.at("domain/" + domain)), value["score"].get<double>());
  succeed({"evaluate", "--compare", path("b.json"), path("b.json"), "--bootstrap", "20", "--output",
           path("v.csv")});
  EXPECT_THAT(read_file(path("v.csv")),
              testing::AllOf(testing::StartsWith("part,name,"), HasSubstr("hard_difference")));
}

TEST_F(Tables, AHyphenIsStandardOutput) {
  score_all();
  succeed(measure(path("m.json")));
  succeed(calibrate(path("c.json")));
  EXPECT_EQ(json::parse(succeed(measure("-")).out), read_json("m.json"));
  EXPECT_EQ(json::parse(succeed(calibrate("-")).out), read_json("c.json"));
  const auto prefer = [&](const std::string& output) {
    return join({{"prefer", "--calibration", path("c.json"), "--output", output, "--scores"},
                 all_scores()});
  };
  succeed(prefer(path("p.jsonl")));
  EXPECT_EQ(succeed(prefer("-")).out, read_file(path("p.jsonl")));
  expect_failure(
      {"score", "--model", path("rm"), "--responses", responses("helper"), "--output", "-"}, 2,
      {"the output is a folder"}, "-");
  expect_failure({"prepare", "--input", responses("helper"), "--output", "-"}, 2,
                 {"expected a name ending in .parquet"}, "-");
  for (const char* name : {"-", "-.lock", "-.manifest.json"}) EXPECT_FALSE(fs::exists(name));
}

TEST_F(Tables, ResultsAreNotWrittenUnderTheNameOfAnotherFormat) {
  score_all();
  expect_failure(measure(path("m.parquet")), 2, {"m.parquet", ".csv"}, path("m.parquet"));
  expect_failure(calibrate(path("c.tsv")), 2, {"c.tsv", ".json"}, path("c.tsv"));
}

TEST_F(Tables, CalibratedScoresAreAColumn) {
  score_all();
  succeed(join({calibrate(path("c.json")), {"--write-scores", path("calibrated")}}));
  std::map<std::string, double> offset_of;
  const json calibration = read_json("c.json");
  for (const json& policy : calibration["policies"]) offset_of[policy["policy"]] = policy["offset"];
  for (const auto& [policy, offset] : offset_of) {
    const std::string file = "/" + policy + ".parquet";
    storage::RowReader before(path("scores" + file), {}), after(path("calibrated" + file), {});
    int num_rows = 0;
    while (const storage::RowView* row = after.next()) {
      ++num_rows;
      nlohmann::ordered_json with = row->to_json();
      nlohmann::ordered_json without = before.next()->to_json();
      EXPECT_EQ(with["calibrated_score"].get<double>(), without["score"].get<double>() + offset);
      with.erase("calibrated_score");
      EXPECT_EQ(with, without);
    }
    EXPECT_EQ(num_rows, num_prompts_);
    EXPECT_EQ(storage::read_provenance(path("scores" + file)),
              storage::read_provenance(path("calibrated" + file)));
  }
  EXPECT_EQ(files_below(path("calibrated")).size(), offset_of.size());
  ASSERT_EQ(offset_of.size(), 4u);
  expect_failure(join({calibrate(path("c2.json")), {"--write-scores", path("scores")}}), 2,
                 {"would be overwritten"}, path("c2.json"));
}

TEST_F(Tables, ManyUnevenPairsAreOneLine) {
  std::vector<std::string> files = {responses("helper")};
  for (const char* policy : {"showman", "intern", "scholar"}) {
    const std::string rows = read_file(responses(policy));
    std::size_t end = 0;
    for (int i = 0; i < 50; ++i) end = rows.find('\n', end) + 1;
    create_folders(path("part"));
    files.push_back(path("part/" + std::string(policy) + ".jsonl"));
    write_file(files.back(), rows.substr(0, end));
  }
  succeed(join({{"score", "--model", path("rm"), "--dtype", "float32", "--output", path("scores"),
                 "--responses"},
                files}));
  const Outcome outcome = succeed(join({calibrate(path("c.json")), {"--quiet"}}));
  EXPECT_THAT(outcome.err, HasSubstr("warning: rows without a counterpart: "));
  const auto first = outcome.err.find("without a counterpart");
  EXPECT_EQ(outcome.err.find("without a counterpart", first + 1), std::string::npos) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("share 50 prompts (0 and 10 rows dropped)"));
}

TEST_F(Tables, OffsetsMayBeAPlainMap) {
  score_all();
  succeed(calibrate(path("c.json")));
  json plain;
  const json calibration = read_json("c.json");
  for (const json& policy : calibration["policies"])
    plain[policy["policy"].get<std::string>()] = policy["offset"];
  write_file(path("plain.json"), plain.dump());
  const auto prefer = [&](const std::string& offsets_file, const std::string& output,
                          const std::string& pairs) {
    return join({{"prefer", "--calibration", path(offsets_file), "--output", path(output),
                  "--pairs", pairs, "--scores"},
                 all_scores()});
  };
  for (const char* pairs : {"all", "vs-reference"}) {
    succeed(prefer("c.json", "a.jsonl", pairs));
    succeed(prefer("plain.json", "b.jsonl", pairs));
    // The order of policies decides the order of pairs.
    EXPECT_EQ(read_file(path("a.jsonl")).size(), read_file(path("b.jsonl")).size()) << pairs;
  }
  plain["helper"] = "0.25";
  write_file(path("plain.json"), plain.dump());
  expect_failure(prefer("plain.json", "c.jsonl", "all"), 3,
                 {"the offset of policy 'helper' is \"0.25\", expected a number in score units"},
                 path("c.jsonl"));
  plain["helper"] = 0.25;
  write_file(path("plain.json"), plain.dump());
  expect_failure(prefer("plain.json", "c.jsonl", "vs-reference"), 3,
                 {"plain.json", "no policy has offset 0"}, path("c.jsonl"));
}

TEST_F(Tables, ColumnsMayHaveOtherNames) {
  std::string lines;
  for (const char* policy : {"helper", "showman"}) {
    std::istringstream rows(read_file(responses(policy)));
    for (std::string line; std::getline(rows, line);) {
      const json row = json::parse(line);
      lines += json({{"question", row.contains("prompt") ? row["prompt"] : row["instruction"]},
                     {"answer", row.contains("response") ? row["response"] : row["output"]},
                     {"response", "not this one"},
                     {"who", policy}})
                   .dump() +
               "\n";
    }
  }
  write_file(path("other.jsonl"), lines);
  const auto score = [&](const std::string& file, const std::string& output) {
    return std::vector<std::string>{"score",    "--model",    path("rm"),    "--dtype", "float32",
                                    "--output", path(output), "--responses", file};
  };
  succeed(join(
      {score(path("other.jsonl"), "renamed"),
       {"--prompt-column", "question", "--response-column", "answer", "--policy-column", "who"}}));
  score_all();
  const auto scores_of = [&](const std::string& folder, const std::string& policy) {
    std::vector<double> scores;
    storage::RowReader reader(path(folder + "/" + policy + ".parquet"), {});
    while (const storage::RowView* row = reader.next()) scores.push_back(row->to_json()["score"]);
    return scores;
  };
  for (const char* policy : {"helper", "showman"})
    EXPECT_EQ(scores_of("renamed", policy), scores_of("scores", policy));
  expect_failure(join({score(path("other.jsonl"), "none"), {"--response-column", "anwser"}}), 3,
                 {"other.jsonl:1", "--response-column: no column 'anwser'", "nearest is 'answer'"},
                 path("none/other.parquet"));
  expect_failure(join({measure(path("m.json")), {"--policy-column", "police"}}), 3,
                 {".parquet", "--policy-column: no column 'police'", "'policy'"}, path("m.json"));
  expect_failure(
      {"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data",
       path("world/style_pairs.json"), "--policy-column", "who", "--output", path("e.json")},
      2, {"--policy-column", "arena"}, path("e.json"));
}

}  // namespace
}  // namespace charm::e2e
