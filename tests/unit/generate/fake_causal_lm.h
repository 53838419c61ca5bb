#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/base/random.h"
#include "charm/engine/causal_lm.h"
#include "charm/engine/model_config.h"

namespace charm::generate {

/// Logits are a function of all tokens in the sequence's blocks, so that a wrong block or position
/// changes the output.
class FakeCausalLM final : public engine::CausalLM {
 public:
  struct Shape {
    std::int64_t blocks = 100;
    std::int64_t block_tokens = 4;
    std::int64_t vocab = 20;
    std::int64_t positions = 1000;
  };
  explicit FakeCausalLM(const Shape& shape)
      : shape_(shape), slots_(static_cast<std::size_t>(shape.blocks * shape.block_tokens), -1) {
    config_.vocab_size = shape.vocab;
    config_.max_positions = shape.positions;
    config_.eos_token_ids = {2};
  }

  std::span<const float> step(const engine::CachedBatch& batch) override {
    logits_.clear();
    std::int64_t tokens = 0;
    for (const engine::CachedTokens& sequence : batch.sequences) {
      for (std::size_t i = 0; i < sequence.ids.size(); ++i) {
        slot(sequence, sequence.first_position + static_cast<std::int64_t>(i)) = sequence.ids[i];
      }
      tokens += static_cast<std::int64_t>(sequence.ids.size());
    }
    for (const engine::CachedTokens& sequence : batch.sequences) {
      if (!sequence.wants_logits) continue;
      std::uint64_t hash = 17;
      const std::int64_t length =
          sequence.first_position + static_cast<std::int64_t>(sequence.ids.size());
      for (std::int64_t p = 0; p < length; ++p)
        hash = hash * 31 + static_cast<std::uint64_t>(slot(sequence, p) + 2);
      RandomStream stream(hash, "fake_causal_lm");
      for (std::int64_t v = 0; v < shape_.vocab; ++v)
        logits_.push_back(static_cast<float>(stream.normal()));
    }
    largest_step = std::max(largest_step, tokens);
    most_sequences = std::max(most_sequences, static_cast<std::int64_t>(batch.sequences.size()));
    tokens_computed += tokens;
    return logits_;
  }

  void copy_block(std::int32_t from, std::int32_t to) override {
    for (std::int64_t n = 0; n < shape_.block_tokens; ++n) {
      slots_.at(static_cast<std::size_t>(to * shape_.block_tokens + n)) =
          slots_.at(static_cast<std::size_t>(from * shape_.block_tokens + n));
    }
  }
  std::int64_t block_tokens() const override { return shape_.block_tokens; }
  std::int64_t num_blocks() const override { return shape_.blocks; }
  std::int64_t block_bytes() const override { return 1 << 20; }
  const engine::DecoderConfig& config() const override { return config_; }
  engine::Provenance provenance() const override { return {}; }

  std::int64_t largest_step = 0, most_sequences = 0, tokens_computed = 0;

 private:
  std::int32_t& slot(const engine::CachedTokens& sequence, std::int64_t position) {
    const std::int32_t block =
        sequence.blocks.at(static_cast<std::size_t>(position / shape_.block_tokens));
    return slots_.at(
        static_cast<std::size_t>(block * shape_.block_tokens + position % shape_.block_tokens));
  }

  Shape shape_;
  engine::DecoderConfig config_;
  std::vector<std::int32_t> slots_;
  std::vector<float> logits_;
};

}  // namespace charm::generate
