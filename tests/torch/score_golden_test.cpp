// The GPU back end on a CPU against transformers: embeddings, blocks and scores of every tiny
// reward model in float32, scores in bfloat16; both attention kernels.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"
#include "tests/torch/decoders.h"

namespace charm::golden {
namespace {

using torch::BlockRows;

/// Packed index of token `position` of a response's full sequence.
std::int64_t packed_index(const engine::Segment& segment, std::int64_t position) {
  return position < segment.prompt_length
             ? segment.prompt_begin + position
             : segment.response_begin + position - segment.prompt_length;
}

/// Compares x_TD with the [token][width] lists of the rows that carry `rung`.
void compare_layer(const std::string& rung, const at::Tensor& x_TD,
                   const engine::PackedBatch& batch, const Json& fixture) {
  const std::vector<float> values = torch::to_vector(x_TD);
  const std::int64_t width = x_TD.size(1);
  Worst worst(rung);
  for (std::size_t s = 0; s < batch.responses.size(); ++s) {
    const Json& row = fixture["rows"][batch.rows[s]];
    if (!row.contains(rung)) continue;
    const engine::Segment& segment = batch.responses[s];
    for (std::int64_t t = 0; t < segment.prompt_length + segment.response_length; ++t) {
      const float* found = values.data() + packed_index(segment, t) * width;
      for (std::int64_t d = 0; d < width; ++d) {
        worst.add(found[d], row[rung][t][d].get<double>(),
                  "row " + std::to_string(batch.rows[s]) + " [" + std::to_string(t) + ", " +
                      std::to_string(d) + "]");
      }
    }
  }
  worst.check(fixture["tolerance"]["layer"].get<double>());
}

class TorchGolden : public testing::TestWithParam<const char*> {
 protected:
  const std::filesystem::path folder_ = data_dir() / "models" / GetParam();
  const Json fixture_ = read_json(folder_ / "golden.json");
  const engine::DecoderConfig config_ = engine::load_model_config(folder_);
  const engine::DecoderWeights weights_ =
      engine::load_weights(folder_, config_, {.dtype = engine::DType::kFloat32});
  const engine::PackedBatch batch_ =
      pack_rows(fixture_["rows"], config_.pad_token_id, config_.gate_tokens);
  const c10::InferenceMode guard_;
};

INSTANTIATE_TEST_SUITE_P(Models, TorchGolden, testing::ValuesIn(kModels),
                         [](const auto& test) { return test_name(test.param); });

TEST_P(TorchGolden, EveryRungEqualsTransformers) {
  for (const torch::AttentionKernel kernel : torch::kKernels) {
    SCOPED_TRACE(torch::attention_kernel_name(kernel));
    const torch::Decoder decoder = torch::make_decoder(config_, weights_, at::kFloat, kernel);
    const torch::Layout layout = decoder.layout(batch_, nullptr);
    const bool has_layers = fixture_["rows"][1].contains("embeddings");
    if (has_layers) {
      at::Tensor x_TD = decoder.embed(layout);
      compare_layer("embeddings", x_TD, batch_, fixture_);
      for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
        x_TD = decoder.block(layer, x_TD, layout, BlockRows::kAll);
        if (layer == 0) compare_layer("first_block", x_TD, batch_, fixture_);
      }
      compare_layer("last_block", x_TD, batch_, fixture_);
    }
    // forward() computes only the pooled rows in the last block: another path to the same numbers.
    const std::vector<float> scores = torch::to_vector(decoder.forward(layout));
    const double tolerance = fixture_["tolerance"]["score"].get<double>();
    compare_scores("score", scores, batch_, fixture_, "score", tolerance);
    compare_scores("score_float64", scores, batch_, fixture_, "score_float64", tolerance);
  }
}

TEST_P(TorchGolden, BFloat16StaysWithinTransformersOwnError) {
  for (const torch::AttentionKernel kernel : torch::kKernels) {
    const torch::Decoder decoder = torch::make_decoder(config_, weights_, at::kBFloat16, kernel);
    compare_scores("score in bfloat16, " + std::string(torch::attention_kernel_name(kernel)),
                   torch::to_vector(decoder.forward(decoder.layout(batch_, nullptr))), batch_,
                   fixture_, "score_float64",
                   fixture_["tolerance"]["score_bfloat16"].get<double>());
  }
}

}  // namespace
}  // namespace charm::golden
