// A Bradley-Terry batch against transformers: scores, loss, and the gradient of every tensor.

#include <ATen/core/Tensor.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"
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
      engine::load_weights(root / "model", config, {.dtype = at::kFloat});
  engine::DecoderWeights expected =
      engine::load_weights(root / "gradients", config, {.dtype = at::kFloat});
  for (auto& [name, tensor] : engine::named_weights(weights, config))
    tensor->set_requires_grad(true);

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
  const engine::Decoder decoder(config, weights, engine::Mode::kAutograd);
  const at::Tensor scores_S = decoder.forward(decoder.layout(batch));

  std::vector<std::int64_t> chosen(batch.rows.size() / 2), rejected(batch.rows.size() / 2);
  Worst worst_score("score");
  for (std::size_t s = 0; s < batch.rows.size(); ++s) {
    const std::size_t pair = batch.rows[s] / 2, side = batch.rows[s] % 2;
    (side == 0 ? chosen : rejected)[pair] = static_cast<std::int64_t>(s);
    worst_score.add(scores_S.data_ptr<float>()[s], fixture["scores"][pair][side].get<double>(),
                    "pair " + std::to_string(pair) + (side == 0 ? " chosen" : " rejected"));
  }
  worst_score.check(fixture["tolerance"]["score"].get<double>());

  const at::Tensor margins = scores_S.index_select(0, at::tensor(chosen))
                                 .sub(scores_S.index_select(0, at::tensor(rejected)));
  const at::Tensor loss = at::log_sigmoid(margins).mean().neg();
  Worst worst_loss("loss");
  worst_loss.add(loss.item<double>(), fixture["loss"].get<double>(), "mean over pairs");
  worst_loss.check(fixture["tolerance"]["loss"].get<double>());

  loss.backward();
  std::map<std::string, at::Tensor> gradients;
  for (auto& [name, tensor] : engine::named_weights(weights, config))
    gradients[name] = tensor->grad();
  double square_sum = 0.0;
  Worst worst("gradients");
  for (auto& [name, tensor] : engine::named_weights(expected, config)) {
    ASSERT_TRUE(gradients[name].defined()) << name << " has no gradient";
    ASSERT_EQ(gradients[name].sizes(), tensor->sizes()) << name;
    const at::Tensor found = gradients[name].contiguous(), wanted = tensor->contiguous();
    for (std::int64_t i = 0; i < found.numel(); ++i) {
      const double value = found.data_ptr<float>()[i];
      square_sum += value * value;
      worst.add(value, wanted.data_ptr<float>()[i], name + " element " + std::to_string(i));
    }
  }
  worst.check(fixture["tolerance"]["gradient"].get<double>());
  Worst worst_norm("gradient norm");
  worst_norm.add(std::sqrt(square_sum), fixture["grad_norm"].get<double>(), "all tensors");
  worst_norm.check(fixture["tolerance"]["gradient"].get<double>());
}

}  // namespace
}  // namespace charm::golden
