#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

// Random valid UTF-8, including control characters and NUL.
std::string random_text(RandomStream& random) {
  std::string text;
  for (std::uint64_t left = random.below(20); left > 0; --left) {
    switch (random.below(4)) {
      case 0:
        text += static_cast<char>(random.below(0x80));
        break;
      case 1:
        text += std::string("\xC3") + static_cast<char>(0x80 + random.below(0x40));
        break;
      case 2:
        text += std::string("\xE2\x80") + static_cast<char>(0x80 + random.below(0x40));
        break;
      default:
        text += std::string("\xF0\x9F\xA7") + static_cast<char>(0x80 + random.below(0x40));
        break;
    }
  }
  return text;
}

std::vector<ScoredResponse> random_rows(RandomStream& random) {
  std::vector<ScoredResponse> rows(1 + random.below(20));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Response& response = rows[i].response;
    response.prompt_id = std::to_string(i) + random_text(random);
    response.policy = "p" + random_text(random);
    response.prompt = {{"system" + random_text(random), random_text(random)},
                       {"user", random_text(random)}};
    response.response = random_text(random);
    rows[i].score = static_cast<float>(random.normal());
    if (random.below(4) == 0) rows[i].error = "e" + random_text(random);
  }
  return rows;
}

TEST(StorageFuzz, RandomRowsRoundTrip) {
  const testing::TempFolder folder;
  RandomStream random(1, "fuzz");
  for (int round = 0; round < 40; ++round) {
    const auto rows = random_rows(random);
    for (const char* name : {"rows.parquet", "rows.jsonl", "rows.jsonl.gz"}) {
      storage::write_scores(folder / name, rows);
      const auto back = storage::read_scored_responses(folder / name, {});
      ASSERT_EQ(back.size(), rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ASSERT_EQ(back[i].response.prompt_id, rows[i].response.prompt_id);
        ASSERT_EQ(back[i].response.policy, rows[i].response.policy);
        ASSERT_EQ(back[i].response.prompt, rows[i].response.prompt);
        ASSERT_EQ(back[i].response.response, rows[i].response.response);
        ASSERT_EQ(back[i].error, rows[i].error);
        if (!rows[i].error) {
          ASSERT_EQ(back[i].score, rows[i].score);
        }
      }
    }
  }
}

}  // namespace
}  // namespace charm
