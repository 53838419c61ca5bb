// A Bradley-Terry batch against transformers: scores, loss, and the gradient of every tensor.

#include <gtest/gtest.h>

#include "charm/engine/model_config.h"
#include "tests/golden/trained_models.h"

namespace charm::golden {
namespace {

TEST(GradientGolden, LossAndEveryGradientEqualTransformers) {
  const std::filesystem::path folder = data_dir() / "train" / "model";
  const engine::DecoderConfig config = engine::load_model_config(folder);
  const auto model = engine::make_trainable_model(config, load_float32(folder, config), {});
  compare_pair_gradients(*model);
}

}  // namespace
}  // namespace charm::golden
