// A Bradley-Terry batch against transformers: scores, loss, and the gradient of every tensor.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/trainable_model.h"
#include "tests/golden/golden_fixture.h"

namespace charm::golden {
namespace {

std::int64_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  std::size_t n = 0;
  while (n + 1 < a.size() && n + 1 < b.size() && a[n] == b[n]) ++n;
  return static_cast<std::int64_t>(n);
}

TEST(GradientGolden, LossAndEveryGradientEqualTransformers) {
  const std::filesystem::path root = data_dir() / "train";
  const Json fixture = read_json(root / "golden.json");
  const engine::DecoderConfig config = engine::load_model_config(root / "model");
  engine::DecoderWeights weights =
      engine::load_weights(root / "model", config, {.dtype = engine::DType::kFloat32});
  engine::DecoderWeights expected =
      engine::load_weights(root / "gradients", config, {.dtype = engine::DType::kFloat32});

  // Row 2p is pair p's chosen side, 2p + 1 its rejected side; the pair shares its prompt.
  std::vector<std::pair<std::size_t, engine::PooledRow>> rows;
  for (const Json& pair : fixture["pairs"]) {
    const auto chosen = pair["chosen"].get<std::vector<std::int32_t>>();
    const auto rejected = pair["rejected"].get<std::vector<std::int32_t>>();
    const std::int64_t prompt_length = common_prefix(chosen, rejected);
    rows.emplace_back(rows.size(),
                      engine::make_pooled_row(chosen, prompt_length, config.pad_token_id));
    rows.emplace_back(rows.size(),
                      engine::make_pooled_row(rejected, prompt_length, config.pad_token_id));
  }
  const engine::PackedBatch batch = engine::pack(engine::group_by_prompt(std::move(rows)));
  const auto num_pairs = static_cast<double>(batch.rows.size() / 2);
  const auto loss = [&](std::span<const float> scores_S) {
    engine::ScoreGradient result{0.0, std::vector<float>(scores_S.size())};
    std::vector<std::size_t> row_of(scores_S.size());
    for (std::size_t s = 0; s < scores_S.size(); ++s) row_of[batch.rows[s]] = s;
    for (std::size_t row = 0; row < row_of.size(); row += 2) {
      const std::size_t chosen = row_of[row], rejected = row_of[row + 1];
      const double margin = double{scores_S[chosen]} - double{scores_S[rejected]};
      result.loss += std::log1p(std::exp(-margin)) / num_pairs;
      const double slope = -1.0 / (1.0 + std::exp(margin)) / num_pairs;
      result.gradient_S[chosen] = static_cast<float>(slope);
      result.gradient_S[rejected] = static_cast<float>(-slope);
    }
    return result;
  };
  const auto model = engine::make_trainable_model(config, std::move(weights), {});
  const engine::BatchResult result = model->accumulate_gradients(batch, loss);

  Worst worst_score("score");
  for (std::size_t s = 0; s < batch.rows.size(); ++s) {
    const std::size_t pair = batch.rows[s] / 2, side = batch.rows[s] % 2;
    worst_score.add(result.scores_S[s], fixture["scores"][pair][side].get<double>(),
                    "pair " + std::to_string(pair) + (side == 0 ? " chosen" : " rejected"));
  }
  worst_score.check(fixture["tolerance"]["score"].get<double>());
  Worst worst_loss("loss");
  worst_loss.add(result.loss, fixture["loss"].get<double>(), "mean over pairs");
  worst_loss.check(fixture["tolerance"]["loss"].get<double>());

  std::map<std::string, engine::Tensor> gradients;
  for (const auto& [name, tensor] : model->gradients()) gradients[name] = tensor;
  double square_sum = 0.0;
  Worst worst("gradients");
  for (auto& [name, tensor] : engine::named_weights(expected, config)) {
    ASSERT_TRUE(gradients[name].defined()) << name << " has no gradient";
    ASSERT_EQ(gradients[name].shape(), tensor->shape()) << name;
    for (std::int64_t i = 0; i < tensor->numel(); ++i) {
      const double value = gradients[name].data<float>()[i];
      square_sum += value * value;
      worst.add(value, tensor->data<float>()[i], name + " element " + std::to_string(i));
    }
  }
  worst.check(fixture["tolerance"]["gradient"].get<double>());
  Worst worst_norm("gradient norm");
  worst_norm.add(std::sqrt(square_sum), fixture["grad_norm"].get<double>(), "all tensors");
  worst_norm.check(fixture["tolerance"]["gradient"].get<double>());
}

}  // namespace
}  // namespace charm::golden
