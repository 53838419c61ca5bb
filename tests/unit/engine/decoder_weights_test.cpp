#include "charm/engine/decoder_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/model_source.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/weight_names.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::tiny_config;
using testing_support::write_tiny_model;
using Tensors = std::vector<std::pair<std::string, Tensor>>;

class LoadWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    weights_ = write_tiny_model(folder_.path(), tiny_config());
    config_ = load_model_config(folder_.path());
    for (const auto& [name, tensor] : named_weights(weights_, config_))
      tensors_.emplace_back(name, *tensor);
  }
  DecoderWeights load(DType dtype = DType::kFloat32) {
    return load_weights(folder_.path(), config_, {.dtype = dtype});
  }
  std::string failure(const Tensors& tensors) {
    write_safetensors(folder_.path() / "model.safetensors", tensors);
    try {
      load();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "";
  }
  Tensors without(const std::string& name) {
    Tensors kept;
    for (const auto& item : tensors_) {
      if (item.first != name) kept.push_back(item);
    }
    EXPECT_EQ(kept.size() + 1, tensors_.size()) << name;
    return kept;
  }
  Tensors with(const std::string& name, Tensor tensor) {
    Tensors changed = tensors_;
    for (auto& item : changed) {
      if (item.first == name) {
        item.second = tensor;
        return changed;
      }
    }
    changed.emplace_back(name, tensor);
    return changed;
  }

  testing::TempFolder folder_;
  DecoderWeights weights_;
  DecoderConfig config_;
  Tensors tensors_;
};

constexpr const char* kUp1 = "model.layers.1.mlp.up_proj.weight";

Tensor int8_ones(const Tensor::Shape& shape) {
  Tensor tensor = Tensor::empty(shape, DType::kInt8);
  std::fill_n(tensor.mutable_bytes(), tensor.nbytes(), std::byte{1});
  return tensor;
}

TEST_F(LoadWeights, RoundTripIsIdentity) {
  EXPECT_EQ(tensors_.size(), 1U + 2 * 9 + 2);
  DecoderWeights loaded = load();
  const auto named = named_weights(loaded, config_);
  ASSERT_EQ(named.size(), tensors_.size());
  for (std::size_t i = 0; i < named.size(); ++i) {
    EXPECT_EQ(named[i].first, tensors_[i].first);
    EXPECT_TRUE(test::equal(*named[i].second, tensors_[i].second)) << named[i].first;
  }
  loaded.head.at(0).weight_OI.mutable_data<float>()[0] = 0.0F;  // owned memory, not the mapped file
}

TEST_F(LoadWeights, ConvertsDtypes) {
  write_safetensors(folder_.path() / "model.safetensors", tensors_, DType::kBFloat16);
  EXPECT_EQ(load(DType::kFloat32).head.at(0).weight_OI.dtype(), DType::kFloat32);
  EXPECT_TRUE(test::equal(load(DType::kFloat32).head.at(0).weight_OI,
                          weights_.head.at(0).weight_OI.to(DType::kBFloat16).to(DType::kFloat32)));
  EXPECT_EQ(load(DType::kBFloat16).blocks[0].q_HED.dtype(), DType::kBFloat16);
  EXPECT_EQ(load(DType::kBFloat16).head.at(0).weight_OI.dtype(), DType::kFloat32);
  write_safetensors(folder_.path() / "model.safetensors", tensors_, DType::kFloat16);
  EXPECT_TRUE(test::equal(load().head.at(0).weight_OI,
                          weights_.head.at(0).weight_OI.to(DType::kFloat16).to(DType::kFloat32)));
}

TEST_F(LoadWeights, Float64BecomesFloat32WhenItIsRead) {
  write_safetensors(folder_.path() / "model.safetensors", tensors_, DType::kFloat64);
  for (const bool as_stored : {false, true}) {
    DecoderWeights loaded =
        load_weights(folder_.path(), config_, {.dtype = DType::kFloat32, .as_stored = as_stored});
    const auto named = named_weights(loaded, config_);
    for (std::size_t i = 0; i < named.size(); ++i)
      EXPECT_TRUE(test::equal(*named[i].second, tensors_[i].second)) << named[i].first;
  }
  EXPECT_TRUE(test::equal(load(DType::kBFloat16).blocks[0].q_HED,
                          weights_.blocks[0].q_HED.to(DType::kBFloat16)));
  const SaveTypes saved = stored_types(resolve_model_source(folder_.path(), {}), DType::kFloat32);
  EXPECT_EQ(saved.of(kUp1), DType::kFloat32);
  Tensor large = Tensor::zeros({40, 32}, DType::kFloat64);
  large.mutable_data<double>()[7] = 1e39;
  EXPECT_THAT(failure(with(kUp1, large)),
              AllOf(HasSubstr("infinity as float32 at element 7"), HasSubstr(kUp1)));
}

TEST_F(LoadWeights, MappedWeightsKeepTheirStoredType) {
  write_safetensors(folder_.path() / "model.safetensors", tensors_, DType::kBFloat16);
  const DecoderWeights mapped =
      load_weights(folder_.path(), config_, {.dtype = DType::kFloat32, .as_stored = true});
  EXPECT_TRUE(
      test::equal(mapped.blocks[1].down_DF, weights_.blocks[1].down_DF.to(DType::kBFloat16)));
  EXPECT_EQ(mapped.head.at(0).weight_OI.dtype(), DType::kBFloat16);
}

TEST_F(LoadWeights, MissingHeadIsNeverMadeUp) {
  EXPECT_THAT(failure(without("score.weight")),
              AllOf(HasSubstr("'score.weight'"), HasSubstr("random one is never used"),
                    HasSubstr("missing")));
}

TEST_F(LoadWeights, MissingTensorsAreNamed) {
  EXPECT_THAT(failure(without(kUp1)), AllOf(HasSubstr(kUp1), HasSubstr("1 of the 21 tensors")));
}

TEST_F(LoadWeights, ExtraTensorsAreNamed) {
  EXPECT_THAT(failure(with("score.bias", test::ones({1}))), HasSubstr("'score.bias'"));
  EXPECT_THAT(failure(with("model.layers.2.mlp.up_proj.weight", test::ones({40, 32}))),
              HasSubstr("model.layers.2"));
  EXPECT_THAT(failure(with("model.layers.0.self_attn.q_proj.bias", test::ones({32}))),
              HasSubstr("q_proj.bias"));
  EXPECT_EQ(failure(with("lm_head.weight", test::ones({48, 32}))), "");
  EXPECT_EQ(failure(with("model.layers.0.self_attn.rotary_emb.inv_freq", test::ones({4}))), "");
}

TEST_F(LoadWeights, WrongShapesSayExpectedAndFound) {
  EXPECT_THAT(failure(with(kUp1, test::ones({32, 40}))),
              AllOf(HasSubstr(kUp1), HasSubstr("[32, 40]"), HasSubstr("[40, 32]")));
  EXPECT_THAT(failure(with("score.weight", test::ones({3, 32}))),
              AllOf(HasSubstr("[3, 32]"), HasSubstr("[1, 32]")));
}

TEST_F(LoadWeights, WrongDtypesSayExpectedAndFound) {
  EXPECT_THAT(failure(with(kUp1, int8_ones({40, 32}))),
              AllOf(HasSubstr(kUp1), HasSubstr("I8"), HasSubstr("F32")));
  // Quantised weights are packed into another shape; their dtype says more.
  EXPECT_THAT(failure(with(kUp1, int8_ones({40, 4}))), HasSubstr("quantised weights are refused"));
}

TEST_F(LoadWeights, NanAndInfinityAreNamed) {
  Tensor bad = test::ones({40, 32});
  bad.mutable_data<float>()[101] = std::nanf("");
  EXPECT_THAT(failure(with(kUp1, bad)), AllOf(HasSubstr(kUp1), HasSubstr("element 101")));
  Tensor infinite = test::ones({40, 32}, DType::kFloat16);
  infinite.mutable_data<Float16>()[0].bits = 0x7c00;
  EXPECT_THAT(failure(with(kUp1, infinite)), HasSubstr("element 0"));
}

TEST_F(LoadWeights, BiasesAppearWhereTheConfigHasThem) {
  const testing::TempFolder folder;
  write_tiny_model(folder.path(), tiny_config(R"("attention_bias": true, "mlp_bias": true)"));
  const DecoderConfig config = load_model_config(folder.path());
  const DecoderWeights weights = load_weights(folder.path(), config, {.dtype = DType::kFloat32});
  EXPECT_EQ(weights.blocks[0].k_bias.shape(), Tensor::Shape({16}));
  EXPECT_EQ(weights.blocks[1].down_bias.shape(), Tensor::Shape({32}));
  config_.attention_bias = true;
  EXPECT_THAT(failure(tensors_), HasSubstr("q_proj.bias"));
}

TEST_F(LoadWeights, FirstLayersOnly) {
  config_.num_layers = 1;
  const DecoderWeights first =
      load_weights(folder_.path(), config_, {.dtype = DType::kFloat32, .stored_layers = 2});
  EXPECT_EQ(first.blocks.size(), 1U);
  EXPECT_THAT(failure(tensors_), HasSubstr("model.layers.1"));
}

TEST(RandomWeights, FollowTheConfigAndTheSeed) {
  DecoderConfig config = parse_model_config(tiny_config(), "c");
  DecoderWeights a = random_weights(config, 7), b = random_weights(config, 7),
                 c = random_weights(config, 8);
  EXPECT_TRUE(test::equal(a.blocks[1].up_FD, b.blocks[1].up_FD));
  EXPECT_FALSE(test::equal(a.blocks[1].up_FD, c.blocks[1].up_FD));
  EXPECT_FALSE(test::equal(a.blocks[0].up_FD, a.blocks[1].up_FD));
  EXPECT_TRUE(test::equal(a.final_norm_D, test::ones({32})));
  double squares = 0.0;
  for (std::int64_t i = 0; i < a.embed_VD.numel(); ++i)
    squares += std::pow(double{a.embed_VD.data<float>()[i]}, 2);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(a.embed_VD.numel())), 0.2, 0.02);
  add_random_head(a, config, 7);
  EXPECT_EQ(a.head.at(0).weight_OI.shape(), Tensor::Shape({1, 32}));
}

TEST(WeightNames, LayerNumbers) {
  const DecoderConfig config = parse_model_config(tiny_config(), "c");
  EXPECT_EQ(layer_of_weight("model.layers.17.mlp.up_proj.weight", config), 17);
  EXPECT_EQ(layer_of_weight("model.norm.weight", config), -1);
  EXPECT_EQ(layer_of_weight("model.layers.x.y", config), -1);
  EXPECT_EQ(layer_of_weight("model.layers.-3.y", config), -1);
}

TEST_F(LoadWeights, AFloat32HeadKeepsItsBitsInABFloat16Model) {
  EXPECT_TRUE(test::equal(load(DType::kBFloat16).head.at(0).weight_OI,
                          load(DType::kFloat32).head.at(0).weight_OI));
}

}  // namespace
}  // namespace charm::engine
