#include "charm/storage/provenance.h"

#include <gtest/gtest.h>

#include "charm/base/files.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
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
