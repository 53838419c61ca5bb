#include "tests/unit/engine/model_folder.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/safetensors.h"

namespace charm::engine::testing_support {

std::string tiny_config(const std::string& extra) {
  auto json = nlohmann::json::parse(R"({
    "architectures": ["LlamaForSequenceClassification"], "model_type": "llama", "vocab_size": 48, "hidden_size": 32,
    "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "id2label": {"0": "LABEL_0"}, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": [2, 3], "torch_dtype": "float32",
    "initializer_range": 0.2})");
  json.update(nlohmann::json::parse("{" + extra + "}"));
  return json.dump();
}

std::string config_text(const std::string& architecture, const std::string& type,
                        const std::string& extra) {
  return tiny_config(R"("architectures": [")" + architecture + R"("], "model_type": ")" + type +
                     "\"" + (extra.empty() ? "" : ", " + extra));
}

DecoderConfig read(const std::string& architecture, const std::string& type,
                   const std::string& extra) {
  return parse_model_config(config_text(architecture, type, extra), "c");
}

std::string failure(const std::string& architecture, const std::string& type,
                    const std::string& extra) {
  try {
    parse_model_config(config_text(architecture, type, extra), "m/config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("m/config.json"));
    return error.what();
  }
  return "";
}

DecoderWeights write_tiny_model(const fs::path& folder, const std::string& config_json,
                                std::uint64_t seed) {
  create_folders(folder);
  write_file(folder / "config.json", config_json);
  const DecoderConfig config = load_model_config(folder);
  DecoderWeights weights = random_weights(config, seed);
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : named_weights(weights, config))
    tensors.emplace_back(name, *tensor);
  write_safetensors(folder / "model.safetensors", tensors, DType::kFloat32);
  return weights;
}

}  // namespace charm::engine::testing_support
