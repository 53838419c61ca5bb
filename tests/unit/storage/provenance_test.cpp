#include "charm/storage/provenance.h"

#include <gtest/gtest.h>

#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::TempFolder;

std::vector<ScoredResponse> one_row() {
  ScoredResponse row;
  row.response.prompt_id = "a";
  row.response.prompt = {{"user", "q"}};
  row.response.policy = "p";
  row.score = 1.5f;
  return {row};
}

TEST(Provenance, IsStoredInParquetMetadata) {
  const TempFolder folder;
  const Provenance facts = {
      {"program", "charm"}, {"model_sha256", "ab12"}, {"note", "\"quotes\" and \xc3\xa9"}};
  write_scores(folder / "s.parquet", one_row(), facts);
  EXPECT_EQ(read_provenance(folder / "s.parquet"), facts);
  EXPECT_EQ(read_scored_responses(folder / "s.parquet", {}).front().score, 1.5f);
  EXPECT_EQ(*find_fact(facts, "model_sha256"), "ab12");
  EXPECT_EQ(find_fact(facts, "model"), nullptr);
}

TEST(Provenance, ScoresOfDifferentModelsAreNotComparable) {
  const TempFolder folder;
  write_scores(folder / "a.parquet", one_row(),
               {{"model_sha256", "ab12"}, {"template_sha256", "t"}});
  write_scores(folder / "b.parquet", one_row(),
               {{"model_sha256", "ab12"}, {"template_sha256", "t"}});
  write_scores(folder / "trained.parquet", one_row(), {{"model_sha256", "cd34"}});
  write_scores(folder / "other.parquet", one_row(),
               {{"model_sha256", "ab12"}, {"template_sha256", "u"}});
  write_scores(folder / "plain.parquet", one_row());
  using Files = std::vector<std::filesystem::path>;
  require_one_model(Files{folder / "a.parquet", folder / "b.parquet", folder / "plain.parquet"});
  EXPECT_ERROR(kInput, "different reward models (model_sha256 ab12 and cd34)",
               require_one_model(Files{folder / "a.parquet", folder / "trained.parquet"}));
  EXPECT_ERROR(kInput, "template_sha256",
               require_one_model(Files{folder / "a.parquet", folder / "other.parquet"}));
}

TEST(Provenance, IsEmptyIfNotRecorded) {
  const TempFolder folder;
  write_scores(folder / "plain.parquet", one_row());
  write_scores(folder / "s.jsonl", one_row(), {{"program", "charm"}});
  write_file(folder / "torn.parquet", read_file(folder / "plain.parquet").substr(0, 100));
  EXPECT_EQ(read_provenance(folder / "plain.parquet"), std::nullopt);
  EXPECT_EQ(read_provenance(folder / "s.jsonl"), std::nullopt);
  EXPECT_EQ(read_provenance(folder / "torn.parquet"), std::nullopt);
}

}  // namespace
}  // namespace charm::storage
