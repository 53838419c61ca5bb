// Causal LMs against transformers' greedy generate: tiny models of every family, and SmolLM2 where
// it is available.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charm/base/random.h"
#include "charm/engine/causal_lm.h"
#include "charm/engine/model_config.h"
#include "charm/generate/continuous_batch.h"
#include "charm/generate/embedded_generator.h"
#include "charm/generate/sampler.h"
#include "charm/text/tokenizer.h"
#include "tests/golden/golden_fixture.h"
#include "tests/support/source_dir.h"

namespace charm::golden {
namespace {

namespace fs = std::filesystem;

fs::path generate_dir() { return data_dir() / "generate"; }

struct Way {
  std::int64_t max_sequences, chunk_tokens;
};

class TinyCausalLM : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, TinyCausalLM,
                         testing::Values("llama", "llama-tied", "llama-own-head",
                                         "llama-head-alone", "llama3-rope", "dynamic-rope",
                                         "longrope", "phi3-longrope", "mistral", "qwen2", "qwen3",
                                         "gemma2", "gemma3"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

struct Written {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<float>> logits;  ///< of the last token but one of each row
};

/// Greedy decoding of the prompts, each to its requested length.
Written write_greedily(engine::CausalLM& model,
                       const std::vector<std::vector<std::int32_t>>& prompts,
                       const std::vector<std::size_t>& lengths, const Way& way) {
  Written written{.tokens = std::vector<std::vector<std::int32_t>>(prompts.size()),
                  .logits = std::vector<std::vector<float>>(prompts.size())};
  std::size_t next = 0;
  generate::run_continuous_batch(
      model, {.max_sequences = way.max_sequences, .chunk_tokens = way.chunk_tokens},
      {.next_prompt = [&]() -> std::optional<generate::TokenPrompt> {
         if (next == prompts.size()) return std::nullopt;
         const std::size_t row = next++;
         return generate::TokenPrompt{.ids = prompts[row], .sequences = {row}};
       },
       .next_token = [&](std::size_t row,
                         std::span<const float> logits) -> std::optional<std::int32_t> {
         written.logits[row].assign(logits.begin(), logits.end());
         const auto token = static_cast<std::int32_t>(
             std::max_element(logits.begin(), logits.end()) - logits.begin());
         written.tokens[row].push_back(token);
         return written.tokens[row].size() < lengths[row] ? std::optional(token) : std::nullopt;
       },
       .on_finished =
           [](std::size_t row, const std::optional<std::string>& error) {
             EXPECT_FALSE(error) << "row " << row << ": " << *error;
           }});
  return written;
}

/// Sequentially with whole prompts, and batched with chunked prefill.
constexpr Way kAlone{1, 1000};
constexpr Way kTogether{64, 7};

TEST_P(TinyCausalLM, GreedyTokensAreThoseOfTransformers) {
  const fs::path folder = generate_dir() / GetParam();
  const Json fixture = read_json(folder / "golden.json");
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<std::size_t> lengths;
  for (const Json& row : fixture["rows"]) {
    prompts.push_back(row["ids"].get<std::vector<std::int32_t>>());
    lengths.push_back(row["written"].size());
  }
  const auto model =
      engine::load_causal_lm(folder, {.dtype = engine::DTypeChoice::kFloat32, .max_blocks = 40});
  const Written alone = write_greedily(*model, prompts, lengths, kAlone);
  Worst worst("logits");
  for (std::size_t row = 0; row < prompts.size(); ++row) {
    EXPECT_EQ(alone.tokens[row], fixture["rows"][row]["written"].get<std::vector<std::int32_t>>())
        << "row " << row;
    const Json& expected = fixture["rows"][row]["logits"];
    ASSERT_EQ(alone.logits[row].size(), expected.size());
    for (std::size_t v = 0; v < expected.size(); ++v) {
      worst.add(alone.logits[row][v], expected[v].get<double>(),
                "row " + std::to_string(row) + " token " + std::to_string(v));
    }
  }
  worst.check(fixture["tolerance"]["logits"].get<double>());
}

TEST_P(TinyCausalLM, LogitsKeepTheirBitsAmongSixtyFour) {
  RandomStream stream(6, "generate_golden_test");
  std::vector<std::vector<std::int32_t>> prompts(64);
  for (auto& prompt : prompts) {
    prompt.resize(1 + stream.below(70));
    for (auto& id : prompt) id = static_cast<std::int32_t>(stream.below(40));
  }
  const std::vector<std::size_t> lengths(prompts.size(), 20);
  for (const engine::DTypeChoice dtype :
       {engine::DTypeChoice::kFloat32, engine::DTypeChoice::kBFloat16}) {
    const auto model =
        engine::load_causal_lm(generate_dir() / GetParam(), {.dtype = dtype, .max_blocks = 128});
    const Written alone = write_greedily(*model, prompts, lengths, kAlone);
    const Written together = write_greedily(*model, prompts, lengths, kTogether);
    EXPECT_EQ(together.tokens, alone.tokens);
    EXPECT_EQ(together.logits, alone.logits);
    // A KV cache for few of them: sequences are preempted and recomputed.
    const auto crowded =
        engine::load_causal_lm(generate_dir() / GetParam(), {.dtype = dtype, .max_blocks = 7});
    EXPECT_EQ(write_greedily(*crowded, prompts, lengths, kTogether).logits, alone.logits);
  }
}

// 6,000 samples of one prompt, two tokens each, against the exact probabilities of all pairs.
TEST(TinySampling, PairsOfTokensFollowTheModelsProbabilities) {
  const auto model = engine::load_causal_lm(
      generate_dir() / "mistral", {.dtype = engine::DTypeChoice::kFloat32, .max_blocks = 200});
  const std::vector<std::int32_t> prompt = {5, 9, 31, 7};
  const auto vocab = static_cast<std::size_t>(model->config().vocab_size);
  const generate::Sampler sampler({.temperature = 1.5, .top_p = 0.95, .seed = 12});

  // Exact: the first token's distribution, then the second's given each first token.
  std::map<std::pair<std::int32_t, std::int32_t>, double> expected;
  std::vector<std::vector<float>> logits(vocab + 1);
  std::size_t next = 0;
  const auto with_first = [&](std::size_t n) {
    std::vector<std::int32_t> ids = prompt;
    if (n > 0) ids.push_back(static_cast<std::int32_t>(n - 1));
    return ids;
  };
  generate::run_continuous_batch(
      *model, {},
      {.next_prompt = [&]() -> std::optional<generate::TokenPrompt> {
         if (next > vocab) return std::nullopt;
         const std::size_t n = next++;
         return generate::TokenPrompt{.ids = with_first(n), .sequences = {n}};
       },
       .next_token = [&](std::size_t n,
                         std::span<const float> values) -> std::optional<std::int32_t> {
         logits[n].assign(values.begin(), values.end());
         return std::nullopt;
       },
       .on_finished = [](std::size_t, const std::optional<std::string>&) {}});
  for (const auto& [first, p] : sampler.distribution(logits[0], {})) {
    for (const auto& [second, q] :
         sampler.distribution(logits[static_cast<std::size_t>(first) + 1], {}))
      expected[{first, second}] = p * q;
  }

  constexpr std::size_t kSamples = 6000;
  std::vector<std::vector<std::int32_t>> written(kSamples);
  bool begun = false;
  generate::run_continuous_batch(
      *model, {},
      {.next_prompt = [&]() -> std::optional<generate::TokenPrompt> {
         if (std::exchange(begun, true)) return std::nullopt;
         generate::TokenPrompt all{.ids = prompt, .sequences = std::vector<std::size_t>(kSamples)};
         std::iota(all.sequences.begin(), all.sequences.end(), std::size_t{0});
         return all;
       },
       .next_token = [&](std::size_t s,
                         std::span<const float> values) -> std::optional<std::int32_t> {
         const auto position = static_cast<std::int64_t>(written[s].size());
         written[s].push_back(
             sampler.next(values, {}, {"p", static_cast<std::int32_t>(s), position}));
         return position == 0 ? std::optional(written[s].back()) : std::nullopt;
       },
       .on_finished = [](std::size_t,
                         const std::optional<std::string>& error) { EXPECT_FALSE(error); }});
  std::map<std::pair<std::int32_t, std::int32_t>, double> counts;
  for (const auto& pair : written) counts[{pair.at(0), pair.at(1)}] += 1;
  for (const auto& [pair, count] : counts)
    EXPECT_TRUE(expected.contains(pair)) << pair.first << " " << pair.second;
  double statistic = 0.0, rest = kSamples, rest_expected = kSamples;
  int bins = 0;
  for (const auto& [pair, p] : expected) {
    const double wanted = p * kSamples;
    if (wanted < 8) continue;
    statistic += (counts[pair] - wanted) * (counts[pair] - wanted) / wanted;
    rest -= counts[pair];
    rest_expected -= wanted;
    ++bins;
  }
  if (rest_expected > 8)
    statistic += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
  std::cout << "  chi-square " << statistic << " over " << bins << " pairs\n";
  EXPECT_GT(bins, 15);
  EXPECT_LT(statistic, bins + 5 * std::sqrt(2.0 * bins));  // mean and five standard deviations
}

TEST(SmolLM2, GreedyTextsAreThoseOfTransformers) {
  const fs::path folder = fs::path(charm::test::kSourceDir) / "runs" / "smollm2";
  if (!fs::exists(folder / "config.json"))
    GTEST_SKIP() << folder << " is absent: tools/smollm2.sh --output runs/smollm2";
  const Json fixture = read_json(generate_dir() / "smollm2.json");
  const auto generator = generate::make_embedded_generator(
      {.model_dir = folder, .dtype = engine::DTypeChoice::kFloat32});
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
    EXPECT_TRUE(row["text"].get<std::string>().starts_with(result.response))
        << "found " << result.response << "\nexpected " << row["text"];
    // Equal texts imply equal tokens here, because the tokenisation is unique; the counts are
    // compared too.
    EXPECT_GE(result.response.size() + 3, row["text"].get<std::string>().size()) << result.response;
  });
}

}  // namespace
}  // namespace charm::golden
