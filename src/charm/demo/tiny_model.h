#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/base/fs.h"

namespace charm::demo {

/// A Llama small enough to train in a minute, with a word-level tokenizer and a chat template of
/// its own.
struct TinyModelOptions {
  std::int64_t hidden_size = 64;
  std::int64_t intermediate_size = 128;
  std::int64_t num_layers = 2;
  std::int64_t num_heads = 4;
  std::int64_t num_kv_heads = 2;
  std::int64_t max_positions = 256;
  bool reward_head =
      false;  ///< false: a causal language model; true: a reward model with a random head
  std::uint64_t seed = 0;  ///< of the random weights
};

/// Writes a Hugging Face folder with random weights; existing identical files are not rewritten.
void write_tiny_model(const fs::path& folder, std::span<const std::string> words,
                      const TinyModelOptions& options);

/// tokenizer.json: a word-level vocabulary of special tokens, "<unk>" and `words`.
std::string tiny_tokenizer_json(std::span<const std::string> words);

}  // namespace charm::demo
