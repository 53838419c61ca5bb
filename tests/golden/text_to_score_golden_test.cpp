// From conversation to score, against transformers' apply_chat_template and model: the full path of
// `charm score`.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "charm/engine/reward_model.h"
#include "charm/score/scorer.h"
#include "charm/text/conversation_encoder.h"
#include "tests/golden/golden_fixture.h"
#include "tests/support/source_dir.h"

namespace charm::golden {
namespace {

std::vector<Response> responses_of(const Json& fixture) {
  std::vector<Response> rows;
  for (const Json& row : fixture["rows"]) {
    Response response;
    for (const Json& turn : row["prompt"])
      response.prompt.push_back({turn["role"], turn["content"]});
    response.prompt_id = prompt_id_of(response.prompt);
    response.response = row["response"];
    response.policy = "golden";
    rows.push_back(std::move(response));
  }
  return rows;
}

void climb(const std::filesystem::path& folder, const Json& fixture) {
  const text::ConversationEncoder encoder(folder, {});
  const std::vector<Response> rows = responses_of(fixture);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const text::EncodedConversation encoded = encoder.encode(rows[r].prompt, rows[r].response);
    EXPECT_EQ(encoded.ids, fixture["rows"][r]["ids"].get<std::vector<std::int32_t>>())
        << "tokens of row " << r;
    EXPECT_EQ(encoded.prompt_length, fixture["rows"][r]["prompt_length"].get<std::int64_t>())
        << "row " << r;
  }
  const auto reward_model = engine::load_reward_model(
      folder, {.dtype = engine::DTypeChoice::kFloat32, .device = engine::DeviceChoice::kCpu});
  const score::RowStore store(rows);
  const std::vector<score::RowScore> scored =
      score::score_rows(*reward_model, encoder, store, store.all_rows(), {});
  ASSERT_EQ(scored.size(), rows.size());
  Worst worst("score");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    EXPECT_FALSE(scored[r].error) << "row " << r << ": " << *scored[r].error;
    EXPECT_EQ(scored[r].num_tokens, static_cast<std::int32_t>(fixture["rows"][r]["ids"].size()))
        << "row " << r;
    worst.add(scored[r].score, fixture["rows"][r]["score_float64"].get<double>(),
              "row " + std::to_string(r));
  }
  worst.check(fixture["tolerance"]["score"].get<double>());
}

TEST(TextToScoreGolden, TinyModelWithTemplate) {
  const std::filesystem::path folder = data_dir() / "models" / "chat";
  climb(folder, read_json(folder / "golden.json"));
}

TEST(TextToScoreGolden, SmolLM2WithSeededHead) {
  const std::filesystem::path folder =
      std::filesystem::path(charm::test::kSourceDir) / "runs" / "smollm2-rm";
  if (!std::filesystem::exists(folder / "config.json")) {
    GTEST_SKIP() << "needs runs/smollm2-rm: tools/smollm2.sh --output runs/smollm2, then "
                    "tools/golden/seed_head.py";
  }
  climb(folder, read_json(data_dir() / "smollm2.json"));
}

}  // namespace
}  // namespace charm::golden
