#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/batch/token_batch.h"
#include "charm/model/reward_model.h"

namespace charm::model {

// S sequences whose logits are wanted, V vocabulary.

/// A model that gives the next token's logits, with a cache of keys and values. A fake one serves
/// tests. On CPU logits are a function of the sequence's tokens alone, bit for bit, whatever runs
/// beside it and in which pieces the sequence was filled in. Not safe for concurrent calls on one
/// object.
class CausalLM {
 public:
  virtual ~CausalLM() = default;

  /// Runs the sequences' tokens and adds them to the cache.
  /// @return [S, V] logits behind the last token of each sequence that wants them, in order; valid
  /// until the next call. Throws kInput when a logit is NaN.
  virtual std::span<const float> step(const batch::CachedBatch& batch) = 0;

  /// Makes cache block `to` a copy of `from`.
  virtual void copy_block(std::int32_t from, std::int32_t to) = 0;

  virtual std::int64_t block_tokens() const = 0;  ///< tokens of one cache block
  virtual std::int64_t num_blocks() const = 0;    ///< blocks are numbered 0 .. num_blocks()-1
  virtual std::int64_t block_bytes() const = 0;
  virtual std::int64_t vocab_size() const = 0;
  /// Longest sequence the model was made for (config.max_position_embeddings).
  virtual std::int64_t max_positions() const = 0;
  /// config.eos_token_id: tokens that end a text.
  virtual std::vector<std::int32_t> eos_token_ids() const = 0;
  /// Short facts for the manifest: architecture, dtype, backend.
  virtual std::vector<std::pair<std::string, std::string>> provenance() const = 0;
};

struct CausalLMOptions {
  DTypeChoice dtype =
      DTypeChoice::kAuto;  ///< auto: bfloat16 where the machine has native bf16, float32 otherwise
  DeviceChoice device = DeviceChoice::kAuto;         ///< auto: cuda when built for it and present
  int threads = 0;                                   ///< 0: all processors of this process
  std::int64_t cache_bytes = std::int64_t{2} << 30;  ///< most memory for keys and values
  /// No more than this many blocks of cache are of use to the caller: a small job takes no more
  /// than it needs.
  std::int64_t max_blocks = std::int64_t{1} << 30;
};

/// Reads a Hugging Face folder of a causal LM. Throws kInput for anything that would give wrong
/// text (among it: a reward model's folder), kResource when `cache_bytes` holds no block.
std::unique_ptr<CausalLM> load_causal_lm(const std::filesystem::path& model_dir,
                                         const CausalLMOptions& options);

}  // namespace charm::model
