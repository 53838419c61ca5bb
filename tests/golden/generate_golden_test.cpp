// Causal LMs against transformers' greedy generate: tiny models of every family always, SmolLM2 where it was set up.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/generate/continuous_batch.h"
#include "charm/generate/embedded_generator.h"
#include "charm/model/causal_lm.h"
#include "charm/text/tokenizer.h"
#include "tests/golden/golden_fixture.h"

namespace charm::golden {
namespace {

namespace fs = std::filesystem;

fs::path generate_dir() { return data_dir() / "generate"; }

struct Way {
  std::int64_t max_sequences, chunk_tokens;
};

class TinyCausalLM : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, TinyCausalLM,
                         testing::Values("llama", "llama-tied", "llama3-rope", "dynamic-rope", "mistral", "qwen2", "qwen3", "gemma2",
                                         "gemma3"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(TinyCausalLM, GreedyTokensAreThoseOfTransformers) {
  const fs::path folder = generate_dir() / GetParam();
  const Json fixture = read_json(folder / "golden.json");
  const auto model = model::load_causal_lm(folder, {.dtype = model::DTypeChoice::kFloat32, .max_blocks = 40});
  for (const Way way : {Way{1, 1000}, Way{8, 7}}) {  // one after the other in whole prompts, and all at once in small pieces
    std::vector<std::vector<std::int32_t>> written(fixture["rows"].size());
    std::vector<std::vector<float>> last(written.size());
    std::size_t next = 0;
    generate::run_continuous_batch(
        *model, {.max_sequences = way.max_sequences, .chunk_tokens = way.chunk_tokens},
        {.next_prompt = [&]() -> std::optional<generate::TokenPrompt> {
           if (next == written.size()) return std::nullopt;
           const std::size_t row = next++;
           return generate::TokenPrompt{.ids = fixture["rows"][row]["ids"].get<std::vector<std::int32_t>>(), .sequences = {row}};
         },
         .next_token = [&](std::size_t row, std::span<const float> logits) -> std::optional<std::int32_t> {
           last[row].assign(logits.begin(), logits.end());
           const auto token = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
           written[row].push_back(token);
           return written[row].size() < fixture["rows"][row]["written"].size() ? std::optional(token) : std::nullopt;
         },
         .on_finished = [](std::size_t row, const std::optional<std::string>& error) {
           EXPECT_FALSE(error) << "row " << row << ": " << *error;
         }});
    Worst worst("logits");
    for (std::size_t row = 0; row < written.size(); ++row) {
      EXPECT_EQ(written[row], fixture["rows"][row]["written"].get<std::vector<std::int32_t>>()) << "row " << row;
      const Json& expected = fixture["rows"][row]["logits"];
      ASSERT_EQ(last[row].size(), expected.size());
      for (std::size_t v = 0; v < expected.size(); ++v) {
        worst.add(last[row][v], expected[v].get<double>(), "row " + std::to_string(row) + " token " + std::to_string(v));
      }
    }
    worst.check(fixture["tolerance"]["logits"].get<double>());
  }
}

TEST(SmolLM2, GreedyTextsAreThoseOfTransformers) {
  const fs::path folder = fs::path(CHARM_SOURCE_DIR) / "runs" / "smollm2";
  if (!fs::exists(folder / "config.json")) GTEST_SKIP() << folder << " is absent: tools/smollm2.sh --output runs/smollm2";
  if (!fs::exists(generate_dir() / "smollm2.json")) GTEST_SKIP() << "no fixture: tools/golden/make_generate_golden.py --smollm2 " << folder;
  const Json fixture = read_json(generate_dir() / "smollm2.json");
  const auto generator = generate::make_embedded_generator({.model_dir = folder, .dtype = model::DTypeChoice::kFloat32});
  std::vector<generate::GenerationRequest> requests;
  for (const Json& row : fixture["rows"]) {
    requests.push_back({.index = requests.size(),
                        .prompt_id = std::to_string(requests.size()),
                        .prompt = {{"user", row["prompt"].get<std::string>()}}});
  }
  ASSERT_EQ(requests.size(), 50u);
  generate::SamplingOptions greedy;
  greedy.temperature = 0.0;
  greedy.max_new_tokens = fixture["max_new_tokens"];
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder);
  generator->generate(requests, greedy, [&](const generate::GenerationResult& result) {
    const Json& row = fixture["rows"][result.index];
    ASSERT_FALSE(result.error) << *result.error;
    EXPECT_EQ(result.num_prompt_tokens, row["num_prompt_tokens"].get<int>());
    const auto ids = row["written"].get<std::vector<std::int32_t>>();
    EXPECT_EQ(result.num_tokens, static_cast<int>(ids.size()));
    EXPECT_EQ(result.finish_reason, ids.back() == 2 ? "stop" : "length");
    EXPECT_TRUE(row["text"].get<std::string>().starts_with(result.response)) << "found " << result.response << "\nexpected " << row["text"];
    // Equal texts are made of equal tokens here, because the tokenizer writes each text in one way only; the count says the rest.
    EXPECT_GE(result.response.size() + 3, row["text"].get<std::string>().size()) << result.response;
  });
}

}  // namespace
}  // namespace charm::golden
