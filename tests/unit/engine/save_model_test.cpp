#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_source.h"
#include "charm/engine/safetensors.h"
#include "tests/support/tensors.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using testing_support::tiny_config;
using testing_support::write_tiny_model;

void save_model(const fs::path& output, const fs::path& source, DecoderWeights& weights,
                const DecoderConfig& config, DType dtype) {
  write_model_files(output, resolve_model_source(source, {}), weights, config, {.dtype = dtype});
}

nlohmann::json read_config(const fs::path& folder) {
  return nlohmann::json::parse(read_file(folder / "config.json"));
}

TEST(SaveModel, RoundTripKeepsWeightsTokenizerAndUnknownKeys) {
  const testing::TempFolder folder;
  const fs::path source = folder.path() / "source", output = folder.path() / "output";
  DecoderWeights weights =
      write_tiny_model(source, tiny_config(R"("use_cache": true, "pad_token_id": null)"));
  write_file(source / "tokenizer.json", "{\"t\": 1}");
  write_file(source / "notes.txt", "not part of the model");
  const DecoderConfig config = load_model_config(source);
  save_model(output, source, weights, config, DType::kFloat32);

  EXPECT_EQ(read_file(output / "tokenizer.json"), "{\"t\": 1}");
  EXPECT_FALSE(fs::exists(output / "notes.txt"));
  const auto json = read_config(output);
  EXPECT_EQ(json["use_cache"], true);
  EXPECT_EQ(json["num_labels"], 1);
  EXPECT_EQ(json["id2label"]["0"], "LABEL_0");
  EXPECT_TRUE(json["pad_token_id"].is_null());
  DecoderWeights loaded =
      load_weights(output, load_model_config(output), {.dtype = DType::kFloat32});
  for (std::size_t i = 0; i < named_weights(weights, config).size(); ++i) {
    EXPECT_TRUE(test::equal(*named_weights(weights, config)[i].second,
                            *named_weights(loaded, config)[i].second));
  }
  const std::string first = read_file(output / "model.safetensors");
  save_model(output, source, loaded, config, DType::kFloat32);
  EXPECT_EQ(read_file(output / "model.safetensors"), first);
}

TEST(SaveModel, CausalLmWithANewHeadBecomesARewardModel) {
  const testing::TempFolder folder;
  const fs::path source = folder.path() / "source", output = folder.path() / "output";
  DecoderWeights weights = write_tiny_model(
      source,
      tiny_config(R"("architectures": ["LlamaForCausalLM"], "id2label": null, "dtype": "float32",
                                              "torch_dtype": null)"));
  DecoderConfig config = load_model_config(source);
  add_random_head(weights, config, 3);
  weights.blocks.resize(1);
  config.num_layers = 1;
  save_model(output, source, weights, config, DType::kBFloat16);

  const auto json = read_config(output);
  EXPECT_EQ(json["architectures"], nlohmann::json::array({"LlamaForSequenceClassification"}));
  EXPECT_EQ(json["num_hidden_layers"], 1);
  EXPECT_EQ(json["dtype"], "bfloat16");
  const DecoderConfig saved = load_model_config(output);
  EXPECT_EQ(saved.head, HeadKind::kLinear);
  const DecoderWeights loaded = load_weights(output, saved, {.dtype = DType::kFloat32});
  EXPECT_TRUE(test::equal(loaded.head.at(0).weight_OI,
                          weights.head.at(0).weight_OI.to(DType::kBFloat16).to(DType::kFloat32)));
}

TEST(SaveModel, TheSourcesTypesAreEachTensorsOwn) {
  const testing::TempFolder folder;
  const fs::path source = folder.path() / "source", output = folder.path() / "output";
  DecoderWeights weights = write_tiny_model(
      source,
      tiny_config(R"("torch_dtype": "bfloat16", "problem_type": "single_label_classification")"));
  const DecoderConfig config = load_model_config(source);
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : named_weights(weights, config))
    tensors.emplace_back(name, name == "score.weight" ? *tensor : tensor->to(DType::kBFloat16));
  write_safetensors(source / "model.safetensors", tensors);
  const ModelSource where = resolve_model_source(source, {});
  write_model_files(output, where, weights, config, stored_types(where, DType::kBFloat16));
  EXPECT_THAT(describe_stored(where).notes,
              ::testing::ElementsAre(::testing::HasSubstr("single_label_classification")));
  const SafetensorsFile saved(output / "model.safetensors");
  EXPECT_EQ(saved.tensors().at("score.weight").dtype, DType::kFloat32);
  EXPECT_EQ(saved.tensors().at("model.norm.weight").dtype, DType::kBFloat16);
  EXPECT_EQ(read_config(output)["torch_dtype"], "bfloat16");
  EXPECT_FALSE(read_config(output).contains("problem_type"))
      << "transformers would refuse to score";
}

TEST(StoredModel, TheGeluOfAnEarlyGemmaIsTold) {
  const testing::TempFolder folder;
  write_tiny_model(folder.path(), tiny_config());
  const auto notes = [&](const std::string& config) {
    write_file(folder.path() / "config.json", config);
    return describe_stored(resolve_model_source(folder.path(), {})).notes;
  };
  EXPECT_THAT(notes(R"({"model_type": "gemma", "hidden_act": "gelu"})"),
              ::testing::ElementsAre(::testing::HasSubstr("gelu_pytorch_tanh")));
  EXPECT_THAT(notes(R"({"model_type": "gemma", "hidden_act": "gelu_pytorch_tanh"})"),
              ::testing::IsEmpty());
  EXPECT_THAT(notes(R"({"model_type": "llama", "hidden_act": "silu"})"), ::testing::IsEmpty());
}

TEST(SaveModel, UnwritableOutputLeavesNothing) {
  const testing::TempFolder folder;
  const fs::path source = folder.path() / "source";
  DecoderWeights weights = write_tiny_model(source, tiny_config());
  write_file(folder.path() / "file", "x");
  try {
    save_model(folder.path() / "file" / "output", source, weights, load_model_config(source),
               DType::kFloat32);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
}

}  // namespace
}  // namespace charm::engine
