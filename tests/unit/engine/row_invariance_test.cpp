// Row invariance: on CPU a score is a function of its tokens alone, bit for bit, whatever the
// batch, order, grouping, number of responses beside it, or thread count.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "charm/engine/token_batch.h"
#include "charm/kernels/thread_pool.h"
#include "tests/unit/engine/decoder_fixture.h"

namespace charm::engine {
namespace {

using Rows = std::vector<std::pair<std::size_t, PooledRow>>;

Rows random_rows() {
  RandomStream stream(5, "row_invariance");
  Rows rows;
  for (std::size_t p = 0; p < 6; ++p) {
    const auto prompt = random_ids(stream, 1 + stream.below(150));
    for (std::size_t k = 0; k < 1 + p; ++k) {
      PooledRow row{prompt, static_cast<std::int64_t>(prompt.size())};
      const auto response = random_ids(stream, 1 + stream.below(230));
      row.ids.insert(row.ids.end(), response.begin(), response.end());
      rows.emplace_back(rows.size(), std::move(row));
    }
  }
  return rows;
}

std::map<std::size_t, float> score(SmallDecoder& decoder, const Rows& rows, std::int64_t budget,
                                   std::int64_t* computed = nullptr) {
  std::map<std::size_t, float> scores;
  for (const auto& groups : plan_batches(group_by_prompt(rows), budget)) {
    const PackedBatch packed = pack(groups);
    const BatchLayout layout = decoder.layout(packed);
    if (computed != nullptr) *computed += layout.num_tokens();
    const std::vector<float> values = decoder.score(layout);
    for (std::size_t i = 0; i < values.size(); ++i) scores[packed.rows[i]] = values[i];
  }
  return scores;
}

struct Case {
  const char* name;
  DecoderConfig (*config)();
  DType dtype;
};

class RowInvariance : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { kernels::set_num_threads(2); }
};
INSTANTIATE_TEST_SUITE_P(
    Models, RowInvariance,
    testing::Values(Case{"llama", small_config, DType::kFloat32},
                    Case{"llama_bfloat16", small_config, DType::kBFloat16},
                    Case{"featured", featured_config, DType::kFloat32},
                    Case{"featured_bfloat16", featured_config, DType::kBFloat16},
                    Case{"dynamic", dynamic_config, DType::kFloat32},
                    Case{"experts", expert_config, DType::kFloat32},
                    Case{"experts_bfloat16", expert_config, DType::kBFloat16},
                    Case{"fused", fused_config, DType::kFloat32},
                    Case{"gemma4", gemma4_config, DType::kFloat32},
                    Case{"gemma4_bfloat16", gemma4_config, DType::kBFloat16},
                    Case{"linear", linear_config, DType::kFloat32},
                    Case{"linear_bfloat16", linear_config, DType::kBFloat16},
                    Case{"linear_dynamic", linear_dynamic_config, DType::kFloat32}),
    [](const auto& test) { return test.param.name; });

TEST_P(RowInvariance, ScoresKeepTheirBits) {
  SmallDecoder decoder(GetParam().config(), GetParam().dtype);
  Rows rows = random_rows();
  kernels::set_num_threads(2);
  const auto expected = score(decoder, rows, 4096);
  RandomStream stream(9, "shuffles");
  for (const int threads : {1, 2, 3, 4}) {
    kernels::set_num_threads(threads);
    for (const std::int64_t budget : {1, 500, 2000, 100000}) {
      stream.shuffle(rows);
      EXPECT_EQ(score(decoder, rows, budget), expected) << threads << " threads, budget " << budget;
    }
    const auto half = score(decoder, Rows(rows.begin(), rows.begin() + 7),
                            1500);  // other rows beside it, smaller K
    for (const auto& [row, value] : half) EXPECT_EQ(value, expected.at(row)) << row;
  }
}

Rows responses_to_one_prompt(std::size_t prompt_length, std::size_t count, std::size_t longest) {
  RandomStream stream(6, "one_prompt");
  const auto prompt = random_ids(stream, prompt_length);
  Rows rows;
  for (std::size_t k = 0; k < count; ++k) {
    PooledRow row{prompt, static_cast<std::int64_t>(prompt.size())};
    const auto response = random_ids(stream, 1 + stream.below(longest));
    row.ids.insert(row.ids.end(), response.begin(), response.end());
    rows.emplace_back(k, std::move(row));
  }
  return rows;
}

TEST_P(RowInvariance, AThousandResponsesInBatchesOfAnySizeComputeTheirPromptOnce) {
  SmallDecoder decoder(GetParam().config(), GetParam().dtype);
  const Rows rows = responses_to_one_prompt(50, 1000, 4);
  std::int64_t tokens = 50;
  for (const auto& [number, row] : rows) tokens += static_cast<std::int64_t>(row.ids.size()) - 50;
  const auto expected = score(decoder, rows, 1 << 20);
  for (const std::int64_t budget : {300, 1000}) {
    std::int64_t computed = 0;
    EXPECT_EQ(score(decoder, rows, budget, &computed), expected) << "budget " << budget;
    EXPECT_EQ(computed, tokens) << "budget " << budget;
  }
  std::int64_t computed = 0;  // a single response
  const auto alone = score(decoder, Rows(rows.begin() + 700, rows.begin() + 701), 300, &computed);
  EXPECT_EQ(alone.at(700), expected.at(700));
}

TEST_P(RowInvariance, APrefixIsCachedForTheNextBatchOnly) {
  SmallDecoder decoder(GetParam().config(), GetParam().dtype);
  RandomStream stream(8, "kept");
  const auto prompt = random_ids(stream, 40);
  const auto other = random_ids(stream, 40);
  const auto response = random_ids(stream, 9);
  const std::vector<PromptGroup> alone = {{prompt, {response}, {0}}};
  std::vector<PromptGroup> continued = {{other, {response}, {1}}, {prompt, {response}, {0}}};
  continued.back().continues = true;
  const auto computed_tokens = [&](const std::vector<PromptGroup>& groups) {
    return decoder.layout(pack(groups)).num_computed_tokens;
  };

  const float expected = decoder.score(alone)[0];
  EXPECT_EQ(computed_tokens(alone), 0);
  EXPECT_EQ(decoder.score(continued)[1], expected);
  EXPECT_EQ(computed_tokens({{other, {response}, {0}}}), 0);
  EXPECT_EQ(computed_tokens(alone), 40);
  EXPECT_EQ(decoder.score(alone)[0], expected);
  EXPECT_EQ(computed_tokens(alone), 0);
}

TEST_P(RowInvariance, AResponseOfManyTilesKeepsItsBitsInOtherCompany) {
  SmallDecoder decoder(GetParam().config(), GetParam().dtype);
  RandomStream stream(9, "long");
  const auto prompt = random_ids(stream, 30);
  const auto response = random_ids(stream, 2500);
  const float expected = decoder.score({{prompt, {response}, {0}}})[0];
  // Tiles of rows begin at other tokens.
  EXPECT_EQ(decoder.score({{random_ids(stream, 10), {random_ids(stream, 91)}, {1}},
                           {prompt, {random_ids(stream, 5), response}, {2, 0}}})[2],
            expected);
}

}  // namespace
}  // namespace charm::engine
