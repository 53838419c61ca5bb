#include "charm/demo/tiny_model.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/safetensors.h"

namespace charm::demo {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 7> kSpecialTokens = {
    "<pad>", "<s>", "<|end|>", "<unk>", "<|user|>", "<|assistant|>", "<|system|>"};
constexpr int kPadId = 0;
constexpr int kBosId = 1;
constexpr int kEndId = 2;

constexpr std::string_view kTemplate =
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] "
    "}}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

ordered_json tiny_config(std::size_t vocab_size, const TinyModelOptions& options) {
  ordered_json config = {
      {"architectures",
       {options.reward_head ? "LlamaForSequenceClassification" : "LlamaForCausalLM"}},
      {"model_type", "llama"},
      {"vocab_size", vocab_size},
      {"hidden_size", options.hidden_size},
      {"intermediate_size", options.intermediate_size},
      {"num_hidden_layers", options.num_layers},
      {"num_attention_heads", options.num_heads},
      {"num_key_value_heads", options.num_kv_heads},
      {"head_dim", options.hidden_size / options.num_heads},
      {"max_position_embeddings", options.max_positions},
      {"hidden_act", "silu"},
      {"rms_norm_eps", 1e-5},
      {"rope_theta", 10000.0},
      {"initializer_range", 0.02},
      {"tie_word_embeddings", true},
      {"pad_token_id", kPadId},
      {"bos_token_id", kBosId},
      {"eos_token_id", kEndId},
      {"torch_dtype", "float32"}};
  if (options.reward_head) {
    config["id2label"] = {{"0", "LABEL_0"}};
    config["label2id"] = {{"LABEL_0", 0}};
  }
  return config;
}

ordered_json tokenizer_config() {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"bos_token", kSpecialTokens[kBosId]},
          {"eos_token", kSpecialTokens[kEndId]},
          {"pad_token", kSpecialTokens[kPadId]},
          {"unk_token", "<unk>"},
          {"model_max_length", 256},
          {"clean_up_tokenization_spaces", false},
          {"chat_template", kTemplate}};
}

}  // namespace

std::string tiny_tokenizer_json(std::span<const std::string> words) {
  ordered_json added = ordered_json::array(), vocab = ordered_json::object();
  std::size_t id = 0;
  for (const std::string_view token : kSpecialTokens) {
    added.push_back({{"id", id},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    vocab[std::string(token)] = id++;
  }
  for (const std::string& word : words) vocab[word] = id++;
  const ordered_json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "Whitespace"}}},
      {"post_processor", nullptr},
      {"decoder", nullptr},
      {"model", {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "<unk>"}}}};
  return tokenizer.dump(1) + "\n";
}

void write_tiny_model(const fs::path& folder, std::span<const std::string> words,
                      const TinyModelOptions& options) {
  create_folders(folder);
  write_file(folder / "config.json",
             tiny_config(kSpecialTokens.size() + words.size(), options).dump(2) + "\n");
  write_file(folder / "tokenizer.json", tiny_tokenizer_json(words));
  write_file(folder / "tokenizer_config.json", tokenizer_config().dump(2) + "\n");
  const engine::DecoderConfig config = engine::load_model_config(folder);
  engine::DecoderWeights weights = engine::random_weights(config, options.seed);
  std::vector<std::pair<std::string, engine::Tensor>> tensors;
  for (const auto& [name, tensor] : engine::named_weights(weights, config))
    tensors.emplace_back(name, *tensor);
  engine::write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
}

}  // namespace charm::demo
