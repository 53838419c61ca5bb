#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/engine/cpu_block.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/layout.h"
#include "charm/engine/model_config.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/token_batch.h"

namespace charm::engine {

// T packed tokens, S responses, D model width, V vocabulary.

/// What a decoder's passes reuse: buffers, RoPE tables and the prefix cache. One per caller. Not
/// thread-safe.
struct DecoderSession {
  explicit DecoderSession(const DecoderConfig& config) : angles(rope_angles(config)) {}

  std::vector<RopeAngles> angles;
  BlockWorkspace workspace;
  CachedPrefix prefix;
};

/// The decoder on the CPU: embed -> N blocks -> final norm -> head at each response's last token.
/// Immutable; safe for concurrent use with a session each.
class Decoder {
 public:
  /// Packs the weights block by block in `dtype` and releases the originals, so that they exist
  /// once. Head and routers compute in float32.
  Decoder(DecoderConfig config, DecoderWeights weights, DType dtype);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  /// Segments, positions and RoPE tables of a batch; build once per batch.
  BatchLayout layout(const PackedBatch& batch, DecoderSession& session) const;

  /// The same for prefill and decode over a KV cache of `cache_shape()`; the forward pass writes K
  /// and V to it.
  BatchLayout layout(const CachedBatch& batch, KvCache& cache, DecoderSession& session) const;
  KvCacheShape cache_shape() const;

  /// ids -> [T, D].
  Tensor embed(const BatchLayout& layout) const;

  /// One block: [T, D] -> [T, D], or [S, D] with BlockRows::kLast. x is overwritten with
  /// BlockRows::kAll.
  Tensor block(std::int64_t index, Tensor& x_TD, const BatchLayout& layout, BlockRows rows,
               DecoderSession& session) const;

  /// Embedding and all blocks: [S, D] of the last tokens, followed by those of the gate tokens.
  Tensor hidden(const BatchLayout& layout, DecoderSession& session) const;

  /// Final norm, LM head and final logit soft cap: [S, D] -> [S, V] float32. Needs `lm_head_VD`.
  Tensor logits(const Tensor& x_SD) const;

  /// Full forward pass: [S] float32 scores of the responses.
  Tensor forward(const BatchLayout& layout, DecoderSession& session) const;

  std::int64_t num_layers() const { return config_.num_layers; }
  const DecoderConfig& config() const { return config_; }

 private:
  Tensor scores(const Tensor& x_SD) const;

  DecoderConfig config_;
  struct State;
  std::unique_ptr<const State> state_;
};

/// A decoder on the CPU.
struct LoadedDecoder {
  Decoder decoder;
  Provenance provenance;
};

/// What manifests say of a loaded model, whatever runs it: architecture, dtype, device, adapter,
/// head. Logs what is unusual about the files.
Provenance model_provenance(const ModelSource& source, const DecoderConfig& config, bool bfloat16,
                            std::string_view device);

/// Weights as stored, the type to compute in, and what manifests say of them.
struct LoadedWeights {
  DecoderWeights weights;
  DType dtype = DType::kFloat32;
  Provenance provenance;
};

/// Loads the weights for the CPU. Also sets the number of threads.
/// @param lm_head  also load the causal LM's LM head
LoadedWeights load_cpu_weights(const ModelSource& source, const DecoderConfig& config,
                               const RewardModelOptions& options, bool lm_head);

/// The same, as a decoder.
LoadedDecoder load_decoder(const ModelSource& source, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head);

}  // namespace charm::engine
