// The promise of DESIGN 4: on CPU a score is a function of its tokens alone, bit for bit, whatever the batch, order, grouping, number
// of responses beside it, or thread count.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "charm/batch/token_budget.h"
#include "tests/unit/nn/decoder_fixture.h"

namespace charm::model {
namespace {

using Rows = std::vector<std::pair<std::size_t, batch::PooledRow>>;

Rows random_rows() {
  RandomStream stream(5, "row_invariance");
  Rows rows;
  for (std::size_t p = 0; p < 6; ++p) {
    const auto prompt = random_ids(stream, 1 + stream.below(150));
    for (std::size_t k = 0; k < 1 + p; ++k) {
      batch::PooledRow row{prompt, static_cast<std::int64_t>(prompt.size())};
      const auto response = random_ids(stream, 1 + stream.below(230));
      row.ids.insert(row.ids.end(), response.begin(), response.end());
      rows.emplace_back(rows.size(), std::move(row));
    }
  }
  return rows;
}

std::map<std::size_t, float> score(const Decoder& decoder, const Rows& rows, std::int64_t budget) {
  std::map<std::size_t, float> scores;
  for (const auto& groups : batch::plan_batches(batch::group_by_prompt(rows), budget)) {
    const batch::PackedBatch packed = batch::pack(groups);
    const std::vector<float> values = run(decoder, groups);
    for (std::size_t i = 0; i < values.size(); ++i) scores[packed.rows[i]] = values[i];
  }
  return scores;
}

struct Case {
  const char* name;
  DecoderConfig (*config)();
  at::ScalarType dtype;
};

class RowInvariance : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { at::set_num_threads(2); }
};
INSTANTIATE_TEST_SUITE_P(Models, RowInvariance,
                         testing::Values(Case{"llama", small_config, at::kFloat}, Case{"llama_bfloat16", small_config, at::kBFloat16},
                                         Case{"featured", featured_config, at::kFloat},
                                         Case{"featured_bfloat16", featured_config, at::kBFloat16},
                                         Case{"dynamic", dynamic_config, at::kFloat}),
                         [](const auto& test) { return test.param.name; });

TEST_P(RowInvariance, ScoresKeepTheirBits) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam().config();
  DecoderWeights weights = small_weights(config, GetParam().dtype);
  const nn::GemmBackend backend = choose_gemm_backend(weights);
  const Decoder decoder(config, std::move(weights), nn::Mode::kInference, backend);
  Rows rows = random_rows();
  at::set_num_threads(2);
  const auto expected = score(decoder, rows, 4096);
  RandomStream stream(9, "shuffles");
  for (const int threads : {1, 2, 3, 4}) {
    at::set_num_threads(threads);
    for (const std::int64_t budget : {1, 500, 2000, 100000}) {
      stream.shuffle(rows);
      EXPECT_EQ(score(decoder, rows, budget), expected) << threads << " threads, budget " << budget;
    }
    const auto half = score(decoder, Rows(rows.begin(), rows.begin() + 7), 1500);  // other rows beside it, smaller K
    for (const auto& [row, value] : half) EXPECT_EQ(value, expected.at(row)) << row;
  }
}

}  // namespace
}  // namespace charm::model
