#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/reward_model.h"
#include "charm/engine/token_batch.h"

namespace charm::engine {

// S sequences whose logits are wanted, V vocabulary.

/// A causal LM with a paged KV cache. Tests use a fake. On CPU logits are a function of the
/// sequence's tokens alone, bit for bit, whatever else is in the batch and however the prefill was
/// chunked. Not thread-safe.
class CausalLM {
 public:
  virtual ~CausalLM() = default;

  /// One forward pass: prefill chunks and decode tokens; writes their K and V to the cache.
  /// @return [S, V] logits of the last token of each sequence that wants them, in order; valid
  /// until the next call. Throws kInput when a logit is NaN.
  virtual std::span<const float> step(const CachedBatch& batch) = 0;

  /// Copies cache block `from` to `to` (copy-on-write of shared blocks).
  virtual void copy_block(std::int32_t from, std::int32_t to) = 0;

  virtual std::int64_t block_tokens() const = 0;  ///< tokens of one cache block
  virtual std::int64_t num_blocks() const = 0;    ///< blocks are numbered 0 .. num_blocks()-1
  virtual std::int64_t block_bytes() const = 0;
  virtual const DecoderConfig& config() const = 0;
  /// For the manifest: architecture, dtype, backend.
  virtual Provenance provenance() const = 0;
};

struct CausalLMOptions {
  DTypeChoice dtype = DTypeChoice::kAuto;     ///< auto: bfloat16 where the hardware supports it
                                              ///< natively, float32 otherwise
  DeviceChoice device = DeviceChoice::kAuto;  ///< auto: cuda when built for it and present
  int threads = 0;                            ///< 0: all processors of this process
  std::int64_t cache_bytes = std::int64_t{2} << 30;  ///< upper bound of the KV cache's memory
  /// Upper bound of the number of KV-cache blocks, for jobs that need less than `cache_bytes`.
  std::int64_t max_blocks = std::int64_t{1} << 30;
  ModelSourceOptions source{};
};

/// Throws kInput for models that only score: with linear attention.
void require_generation(const DecoderConfig& config);

/// Throws kInput for a NaN logit.
void check_logits(std::span<const float> logits, const DecoderConfig& config);

/// A decoding sequence of this many tokens is prefilled again (RopeConfig::recomputes_cache).
std::int64_t recompute_length(const DecoderConfig& config);

/// Blocks of a KV cache within the options' limits. Throws kResource where not even one fits.
std::int64_t num_cache_blocks(const CausalLMOptions& options, std::int64_t block_bytes,
                              std::int64_t block_tokens);

/// Loads a causal LM from a Hugging Face folder. Throws kInput for anything that would give wrong
/// text (including a reward model's folder), kResource when `cache_bytes` holds no block.
std::unique_ptr<CausalLM> load_causal_lm(const std::filesystem::path& model_dir,
                                         const CausalLMOptions& options);

}  // namespace charm::engine
