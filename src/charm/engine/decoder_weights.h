#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/head.h"
#include "charm/engine/model_config.h"

namespace charm::engine {

// D model width, H query heads, K key/value heads, E head width, F mlp width, V vocabulary, X
// experts.

/// The MLP of one expert.
struct ExpertWeights {
  at::Tensor gate_FD, up_FD, down_DF;
};

/// The tensors of one block, stored values unchanged. Undefined tensors are absent biases and
/// norms.
struct BlockWeights {
  at::Tensor input_norm_D, mlp_norm_D;              ///< before attention, before the MLP
  at::Tensor attention_out_norm_D, mlp_out_norm_D;  ///< after them, before the residual add
  at::Tensor q_norm_E, k_norm_E;   ///< QK-norm, per head; [H*E] and [K*E]: over all heads (OLMo)
  at::Tensor q_HED, k_KED, v_KED;  ///< [H*E, D], [K*E, D], [K*E, D]
  at::Tensor q_bias, k_bias, v_bias, o_bias;
  at::Tensor o_DHE;  ///< [D, H*E]
  at::Tensor gate_FD, up_FD, down_DF;
  at::Tensor gate_bias, up_bias, down_bias;
  at::Tensor qkv_HED;     ///< [(H + 2K)*E, D] in place of q, k and v (Phi-3)
  at::Tensor gate_up_FD;  ///< [2F, D] in place of gate and up
  at::Tensor router_XD;   ///< [X, D], and `experts` in place of gate, up and down
  std::vector<ExpertWeights> experts;
};

/// All tensors of a decoder with its head, as a Hugging Face folder stores them.
struct DecoderWeights {
  at::Tensor embed_VD;
  std::vector<BlockWeights> blocks;
  at::Tensor final_norm_D;
  std::vector<HeadLayer> head;  ///< empty for a causal LM
  at::Tensor lm_head_VD;  ///< a causal LM's LM head, where loaded; the embedding itself where tied
};

/// (Hugging Face name, tensor) of every defined tensor in a fixed order, for saving and optimising.
/// The pointers refer into `weights`.
std::vector<std::pair<std::string, at::Tensor*>> named_weights(DecoderWeights& weights,
                                                               const DecoderConfig& config);

struct LoadWeightsOptions {
  at::ScalarType dtype;  ///< converts every tensor but head and routers, which become float32
  /// Tensors that need no conversion stay memory-mapped: no copy, but they must not be written. For
  /// weights that are packed afterwards; not for training.
  bool share_file = false;
  /// Layers in the checkpoint where `config.num_layers` asks for the first of them only; 0: as many
  /// as the config says.
  std::int64_t stored_layers = 0;
  /// Also loads a causal LM's LM head; throws kInput where there is none.
  bool lm_head = false;
  /// With a GPU the tensors are uploaded one by one through pinned memory; the host never holds
  /// them all.
  at::Device device = at::kCPU;
};

/// Loads a checkpoint, an adapter merged into it in float32, onto `options.device`. Throws kInput
/// for a missing, extra or misshapen tensor, a wrong dtype, NaN or infinite values, truncated
/// files, overlapping offsets. lm_head and rotary buffers are ignored.
DecoderWeights load_weights(const ModelSource& source, const DecoderConfig& config,
                            const LoadWeightsOptions& options);

/// The same for a folder without an adapter.
DecoderWeights load_weights(const std::filesystem::path& model_dir, const DecoderConfig& config,
                            const LoadWeightsOptions& options);

/// Random initialisation as in transformers 5.17 (PreTrainedModel._init_weights): norms 1 (0 where
/// the norm adds 1), biases 0, everything else normal with `config.initializer_range`. float32 on
/// CPU; a function of the config and the seed.
DecoderWeights random_weights(const DecoderConfig& config, std::uint64_t seed);

/// Adds a randomly initialised linear head to a causal LM, float32: normal with
/// `config.initializer_range`, as transformers does for a missing head.
void add_random_head(DecoderWeights& weights, DecoderConfig& config, std::uint64_t seed);

/// Truncates weights and config to the first `num_layers` blocks.
void keep_first_layers(DecoderWeights& weights, DecoderConfig& config, std::int64_t num_layers);

/// Dtypes of saved tensors.
struct SaveTypes {
  at::ScalarType dtype = at::kFloat;               ///< config.json's, and of most tensors
  std::map<std::string, at::ScalarType> others{};  ///< of tensors that have another
  at::ScalarType of(const std::string& name) const;
};

/// Each stored tensor's own dtype; `dtype` for tensors that are not stored, such as a new head.
SaveTypes stored_types(const ModelSource& source, at::ScalarType dtype);

/// Writes a checkpoint folder that AutoModelForSequenceClassification loads with equal scores:
/// config.json (from the source folder's, with architectures, num_labels/id2label, dtype and
/// pad_token_id set), model.safetensors in `dtype`, tokenizer files copied from `source_dir`.
/// Published atomically.
void save_model(const std::filesystem::path& output_dir, const std::filesystem::path& source_dir,
                DecoderWeights& weights, const DecoderConfig& config, at::ScalarType dtype);

/// Writes the files of `save_model` into a folder that the caller publishes.
void write_model_files(const std::filesystem::path& folder, const ModelSource& source,
                       DecoderWeights& weights, const DecoderConfig& config,
                       const SaveTypes& types);

}  // namespace charm::engine
