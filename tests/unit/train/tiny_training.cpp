#include "tests/unit/train/tiny_training.h"

#include <fmt/format.h>

#include "charm/base/random.h"

namespace charm::train::testing_support {

engine::DecoderConfig tiny_config(std::int64_t num_layers) {
  engine::DecoderConfig config = engine::parse_model_config(R"({
    "architectures": ["LlamaForSequenceClassification"], "model_type": "llama", "vocab_size": 48, "hidden_size": 32,
    "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "attention_bias": true, "id2label": {"0": "LABEL_0"}, "pad_token_id": 0, "initializer_range": 0.2})",
                                                            "tiny/config.json");
  config.num_layers = num_layers;
  return config;
}

std::unique_ptr<engine::TrainableModel> tiny_model(const engine::TrainableOptions& options,
                                                   std::int64_t num_layers, std::uint64_t seed) {
  const engine::DecoderConfig config = tiny_config(num_layers);
  return engine::make_trainable_model(config, engine::random_weights(config, seed), options);
}

std::vector<EncodedPair> tiny_pairs(std::size_t count, std::uint64_t seed) {
  RandomStream stream(seed, "tiny_pairs");
  const auto random_ids = [&](std::uint64_t length, std::int32_t marked) {
    std::vector<std::int32_t> ids = {1};
    for (std::uint64_t i = 0; i < length; ++i)
      ids.push_back(static_cast<std::int32_t>(7 + stream.below(41)));
    ids.insert(ids.begin() + 1 + static_cast<std::ptrdiff_t>(stream.below(length)), marked);
    ids.push_back(2);
    return ids;
  };
  std::vector<EncodedPair> pairs;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::int32_t> chosen = random_ids(4 + stream.below(6), 5);
    std::vector<std::int32_t> rejected = random_ids(4 + stream.below(6), 6);
    const std::vector<std::int32_t> prompt = random_ids(3 + stream.below(5), 4);
    chosen.insert(chosen.begin(), prompt.begin(), prompt.end());
    rejected.insert(rejected.begin(), prompt.begin(), prompt.end());
    pairs.push_back(
        {fmt::format("prompt-{}", i / 2), chosen, rejected, 0.5f * static_cast<float>(i % 3)});
  }
  return pairs;
}

}  // namespace charm::train::testing_support
