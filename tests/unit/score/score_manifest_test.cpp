#include "charm/score/score_manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/base/temp_folder.h"

namespace charm::score {
namespace {

using nlohmann::ordered_json;

class ScoreManifest : public ::testing::Test {
 protected:
  /// What a run of one policy writes; the policy's file is there.
  ordered_json manifest_of(const std::string& policy, std::int64_t num_errors,
                           const std::string& dtype = "float32") {
    folder_.file(policy + ".parquet", "rows");
    PolicyEntry entry{.file = folder_ / (policy + ".parquet"),
                      .num_rows = 10,
                      .num_errors = num_errors,
                      .num_truncated = 2 * num_errors,
                      .fingerprint = "of " + policy,
                      .inputs = {policy + ".jsonl", "rm"}};
    ordered_json json = {
        {"program", "charm"},
        {"version", "1"},
        {"command", "score"},
        {"options", {{"dtype", dtype}}},
        {"seed", nullptr},
        {"inputs",
         {{{"path", policy + ".jsonl"}, {"sha256", "hash of " + policy}, {"num_rows", 10}},
          {{"path", "rm"}, {"sha256", "hash of rm"}}}},
        {"outputs", ordered_json::array({entry.to_json()})},
        {"provenance", {{"dtype", dtype}}}};
    return json;
  }
  ordered_json merged(const ordered_json& own, const ordered_json& present) {
    return with_other_policies(own, present, folder_.path());
  }

  const charm::testing::TempFolder folder_;
};

TEST_F(ScoreManifest, TellsAllPoliciesWhicheverEndsLast) {
  const ordered_json a = manifest_of("a", 1), b = manifest_of("b", 2);
  const ordered_json last_a = merged(a, merged(b, nullptr)), last_b = merged(b, merged(a, nullptr));
  EXPECT_EQ(last_a.dump(), last_b.dump());
  ASSERT_EQ(last_a["outputs"].size(), 2u);
  EXPECT_EQ(last_a["outputs"][1]["num_rows"], 10);
  EXPECT_EQ(last_a["num_errors"], 3);
  EXPECT_EQ(last_a["num_truncated"], 6);
  ASSERT_EQ(last_a["inputs"].size(), 3u) << "the model once";
  EXPECT_EQ(last_a["inputs"][0]["sha256"], "hash of a");
  EXPECT_EQ(last_a["inputs"][1]["sha256"], "hash of b");
  EXPECT_FALSE(last_a["outputs"][0].contains("provenance"));
  EXPECT_EQ(find_policy(last_a, "elsewhere/b.parquet")->fingerprint, "of b");
  EXPECT_EQ(find_policy(last_a, folder_ / "c.parquet"), std::nullopt);
}

TEST_F(ScoreManifest, APolicyScoredAgainIsReplacedAndOneWithoutItsFileDropped) {
  const ordered_json first = merged(manifest_of("a", 1), merged(manifest_of("b", 0), nullptr));
  ordered_json again = manifest_of("a", 5);
  again["inputs"][0]["sha256"] = "another hash of a";
  fs::remove(folder_ / "b.parquet");
  const ordered_json json = merged(again, first);
  ASSERT_EQ(json["outputs"].size(), 1u);
  EXPECT_EQ(json["num_errors"], 5);
  ASSERT_EQ(json["inputs"].size(), 2u);
  EXPECT_EQ(json["inputs"][0]["sha256"], "another hash of a");
}

TEST_F(ScoreManifest, AnEntryScoredOtherwiseKeepsItsProvenance) {
  const ordered_json bf16 = merged(manifest_of("a", 0, "bfloat16"), nullptr);
  const ordered_json both = merged(manifest_of("b", 0), bf16);
  EXPECT_EQ(both["provenance"]["dtype"], "float32");
  EXPECT_EQ(both["outputs"][0]["provenance"]["dtype"], "bfloat16");
  EXPECT_FALSE(both["outputs"][1].contains("provenance"));
  // Scored again as before: now the other one differs.
  const ordered_json back = merged(manifest_of("c", 0, "bfloat16"), both);
  EXPECT_FALSE(back["outputs"][0].contains("provenance"));
  EXPECT_EQ(back["outputs"][1]["provenance"]["dtype"], "float32");
}

TEST_F(ScoreManifest, OnePolicysPartHasItsInputsOnly) {
  const ordered_json a = manifest_of("a", 1);
  const ordered_json both = merged(a, merged(manifest_of("b", 2), nullptr));
  const ordered_json alone = manifest_of_policy(both, "elsewhere/a.parquet");
  EXPECT_EQ(alone["inputs"], a["inputs"]);
  EXPECT_EQ(alone["options"], a["options"]);
  EXPECT_TRUE(manifest_of_policy(both, folder_ / "c.parquet").is_null());
  EXPECT_TRUE(manifest_of_policy(nullptr, folder_ / "a.parquet").is_null());
  const ordered_json other = merged(manifest_of("b", 0, "bfloat16"), both);
  EXPECT_TRUE(manifest_of_policy(other, folder_ / "a.parquet").is_null()) << "scored in float32";
}

TEST_F(ScoreManifest, OtherFilesAndDamagedOnesCountAsNone) {
  const ordered_json own = manifest_of("a", 0);
  const ordered_json expected = merged(own, nullptr);
  for (const char* text :
       {"[]", "7", R"({"command": "train", "outputs": [{"path": "a.parquet"}]})",
        R"({"command": "score", "outputs": [5, {"path": 5}, {}], "inputs": "none"})"}) {
    EXPECT_EQ(merged(own, ordered_json::parse(text)), expected) << text;
    EXPECT_EQ(find_policy(ordered_json::parse(text), "a.parquet"), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace charm::score
