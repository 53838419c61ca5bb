#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/encoder_weights.h"
#include "charm/engine/head.h"
#include "charm/engine/model_config.h"

namespace charm::engine {

// D model width, H query heads, K key/value heads, E head width, F mlp width, V vocabulary, X
// experts.

/// The MLP of one expert.
struct ExpertWeights {
  Tensor gate_FD, up_FD, down_DF;
};

/// The tensors of one block, stored values unchanged. Undefined tensors are absent biases and
/// norms.
struct BlockWeights {
  Tensor input_norm_D, mlp_norm_D;              ///< before attention, before the MLP
  Tensor attention_out_norm_D, mlp_out_norm_D;  ///< after them, before the residual add
  Tensor q_norm_E, k_norm_E;   ///< QK-norm, per head; [H*E] and [K*E]: over all heads (OLMo)
  Tensor q_HED, k_KED, v_KED;  ///< [H*E, D], [K*E, D], [K*E, D]
  Tensor q_bias, k_bias, v_bias, o_bias;
  Tensor o_DHE;  ///< [D, H*E]; of a gated delta net [D, its values]
  Tensor gate_FD, up_FD, down_DF;
  Tensor gate_bias, up_bias, down_bias;
  Tensor qkv_HED;     ///< [(H + 2K)*E, D] in place of q, k and v (Phi-3)
  Tensor gate_up_FD;  ///< [2F, D] in place of gate and up
  /// A gated delta net in place of q, k and v: C channels, its value heads and their width.
  Tensor delta_qkv_CD, delta_z_VD, delta_b_HD, delta_a_HD;
  Tensor delta_conv_C1W, delta_a_log_H, delta_dt_bias_H, delta_norm_E;
  /// Per-layer embeddings, P values a layer.
  Tensor per_layer_gate_PD, per_layer_out_DP, per_layer_out_norm_D;
  Tensor layer_scalar_1;
  Tensor router_XD;  ///< [X, D], and `experts` in place of gate, up and down
  std::vector<ExpertWeights> experts;
};

/// The block with q, k, v, gate and up as views of the fused tensors where it has those.
BlockWeights split_fused(const DecoderConfig& config, BlockWeights weights);

/// All tensors of a decoder with its head, as a Hugging Face folder stores them.
struct DecoderWeights {
  Tensor embed_VD;
  /// Per-layer embeddings: a token's P values of every layer, their part that depends on the
  /// embedding, and its norm.
  Tensor per_layer_embed_VP, per_layer_projection_PD, per_layer_norm_P;
  std::vector<BlockWeights> blocks;
  Tensor final_norm_D;
  std::vector<HeadLayer> head;  ///< empty for a causal LM
  EncoderWeights encoder;       ///< a bidirectional encoder's, in place of all above but the head
  Tensor lm_head_VD;  ///< a causal LM's LM head, where loaded; the embedding itself where tied
};

/// (Hugging Face name, tensor) of every defined tensor in a fixed order, for saving and optimising.
/// The pointers refer into `weights`.
std::vector<std::pair<std::string, Tensor*>> named_weights(DecoderWeights& weights,
                                                           const DecoderConfig& config);

struct LoadWeightsOptions {
  DType dtype;  ///< converts every tensor but those of `is_float32`, which become float32
  /// Tensors stay memory-mapped in their stored type, and must not be written: for a back end that
  /// converts them one by one as it packs or uploads them. Those that an adapter is merged into are
  /// in `dtype`.
  bool as_stored = false;
  /// Layers in the checkpoint where `config.num_layers` asks for the first of them only; 0: as many
  /// as the config says.
  std::int64_t stored_layers = 0;
  /// Also loads a causal LM's LM head; throws kInput where there is none.
  bool lm_head = false;
};

/// Loads a checkpoint, an adapter merged into it in float32. Throws kInput
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

/// Dtypes of saved tensors.
struct SaveTypes {
  DType dtype = DType::kFloat32;          ///< config.json's, and of most tensors
  std::map<std::string, DType> others{};  ///< of tensors that have another
  DType of(const std::string& name) const;
};

/// Each stored tensor's own dtype; `dtype` for tensors that are not stored, such as a new head.
SaveTypes stored_types(const ModelSource& source, DType dtype);

/// Writes the files of a checkpoint folder that AutoModelForSequenceClassification loads with equal
/// scores: config.json (from the source folder's, with architectures, num_labels/id2label, dtype
/// and pad_token_id set), model.safetensors in `types`, tokenizer files copied from the source. The
/// caller publishes the folder.
void write_model_files(const std::filesystem::path& folder, const ModelSource& source,
                       DecoderWeights& weights, const DecoderConfig& config,
                       const SaveTypes& types);

}  // namespace charm::engine
