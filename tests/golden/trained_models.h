#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/trainable_model.h"
#include "tests/golden/golden_fixture.h"

// What compares gradients and trained weights with transformers', for both back ends.
namespace charm::golden {

inline engine::DecoderWeights load_float32(const std::filesystem::path& folder,
                                           const engine::DecoderConfig& config) {
  return engine::load_weights(folder, config, {.dtype = engine::DType::kFloat32});
}

/// The sum of the scores as a loss.
inline engine::ScoreGradient sum_of(std::span<const float> scores_S) {
  engine::ScoreGradient result{.loss = 0.0,
                               .gradient_S = std::vector<float>(scores_S.size(), 1.0F)};
  for (const float score : scores_S) result.loss += score;
  return result;
}

/// Gradients of `sum_of` against a model's fixture: each tensor's by its norm and its sum, relative
/// to the norm; a misplaced element changes one of them.
inline void compare_norms_and_sums(const engine::NamedTensors& gradients, const Json& fixture) {
  ASSERT_EQ(gradients.size(), fixture["gradients"].size());
  Worst worst("gradients, relative");
  for (const auto& [name, gradient] : gradients) {
    const Json& expected = fixture["gradients"].at(name);
    const double norm = expected[0].get<double>();
    double squares = 0.0, sum = 0.0;
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      const double value = gradient.data<float>()[i];
      squares += value * value;
      sum += value;
    }
    if (norm == 0.0) {  // an expert that computes no row
      EXPECT_EQ(squares, 0.0) << name;
      continue;
    }
    worst.add(std::sqrt(squares) / norm, 1.0, name + " norm");
    worst.add(sum / norm, expected[1].get<double>() / norm, name + " sum");
  }
  worst.check(1e-5);
}

struct Pairs {
  engine::PackedBatch batch;
  std::vector<std::size_t> chosen, rejected;  ///< rows of the scores
};

/// The pairs of a fixture, each sharing its prompt.
inline Pairs pack_pairs(const Json& pairs, std::int32_t pad_token_id) {
  std::vector<std::pair<std::size_t, engine::PooledRow>> rows;
  for (const Json& pair : pairs) {
    const auto chosen = pair["chosen"].get<std::vector<std::int32_t>>();
    const auto rejected = pair["rejected"].get<std::vector<std::int32_t>>();
    std::size_t shared = 0;
    while (shared + 1 < chosen.size() && shared + 1 < rejected.size() &&
           chosen[shared] == rejected[shared])
      ++shared;
    for (const auto& side : {chosen, rejected}) {
      rows.emplace_back(rows.size(), engine::make_pooled_row(
                                         side, static_cast<std::int64_t>(shared), pad_token_id));
    }
  }
  Pairs packed{.batch = engine::pack(engine::group_by_prompt(std::move(rows))),
               .chosen = std::vector<std::size_t>(pairs.size()),
               .rejected = std::vector<std::size_t>(pairs.size())};
  for (std::size_t s = 0; s < packed.batch.rows.size(); ++s) {
    const std::size_t row = packed.batch.rows[s];
    (row % 2 == 0 ? packed.chosen : packed.rejected)[row / 2] = s;
  }
  return packed;
}

/// The mean over pairs of -log sigmoid(r_chosen - r_rejected). `pairs` must outlive it.
inline engine::ScoreLoss bradley_terry(const Pairs& pairs) {
  return [&pairs](std::span<const float> scores_S) {
    engine::ScoreGradient result{.loss = 0.0, .gradient_S = std::vector<float>(scores_S.size())};
    const auto n = static_cast<double>(pairs.chosen.size());
    for (std::size_t p = 0; p < pairs.chosen.size(); ++p) {
      const double d = static_cast<double>(scores_S[pairs.chosen[p]]) - scores_S[pairs.rejected[p]];
      result.loss += std::log1p(std::exp(-d)) / n;
      const auto slope = static_cast<float>(1.0 / (1.0 + std::exp(d)) / n);
      result.gradient_S[pairs.chosen[p]] -= slope;
      result.gradient_S[pairs.rejected[p]] += slope;
    }
    return result;
  };
}

/// Elements of weights or gradients by name.
inline void compare_tensors(const std::string& rung, const engine::NamedTensors& found,
                            engine::DecoderWeights expected, const engine::DecoderConfig& config,
                            double tolerance) {
  const auto wanted = engine::named_weights(expected, config);
  ASSERT_EQ(found.size(), wanted.size());
  std::map<std::string, engine::Tensor> by_name(found.begin(), found.end());
  Worst worst(rung);
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(by_name[name].defined()) << name;
    ASSERT_EQ(by_name[name].shape(), tensor->shape()) << name;
    for (std::int64_t i = 0; i < tensor->numel(); ++i) {
      worst.add(by_name[name].data<float>()[i], tensor->data<float>()[i],
                name + " element " + std::to_string(i));
    }
  }
  worst.check(tolerance);
}

inline engine::NamedTensors named_tensors(engine::DecoderWeights& weights,
                                          const engine::DecoderConfig& config) {
  engine::NamedTensors tensors;
  for (const auto& [name, tensor] : engine::named_weights(weights, config))
    tensors.emplace_back(name, *tensor);
  return tensors;
}

/// One Bradley-Terry batch of tests/data/golden/train: scores, loss, every gradient and their norm.
inline void compare_pair_gradients(engine::TrainableModel& model) {
  const std::filesystem::path root = data_dir() / "train";
  const Json fixture = read_json(root / "golden.json");
  const Json& tolerance = fixture["tolerance"];
  const Pairs pairs = pack_pairs(fixture["pairs"], model.config().pad_token_id);
  const engine::BatchResult result = model.accumulate_gradients(pairs.batch, bradley_terry(pairs));
  Worst score("score"), loss("loss"), norm("gradient norm");
  for (std::size_t p = 0; p < pairs.chosen.size(); ++p) {
    const std::string where = "pair " + std::to_string(p);
    score.add(result.scores_S[pairs.chosen[p]], fixture["scores"][p][0].get<double>(),
              where + " chosen");
    score.add(result.scores_S[pairs.rejected[p]], fixture["scores"][p][1].get<double>(),
              where + " rejected");
  }
  score.check(tolerance["score"].get<double>());
  loss.add(result.loss, fixture["loss"].get<double>(), "mean over pairs");
  loss.check(tolerance["loss"].get<double>());
  const engine::NamedTensors gradients = model.gradients();
  compare_tensors("gradients", gradients, load_float32(root / "gradients", model.config()),
                  model.config(), tolerance["gradient"].get<double>());
  double squares = 0.0;
  for (const auto& [name, tensor] : gradients) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i)
      squares += static_cast<double>(tensor.data<float>()[i]) * tensor.data<float>()[i];
  }
  norm.add(std::sqrt(squares), fixture["grad_norm"].get<double>(), "all tensors");
  norm.check(tolerance["gradient"].get<double>());
}

}  // namespace charm::golden
