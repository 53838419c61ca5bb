#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "charm/engine/weight_names.h"

namespace charm::engine {

class ConfigReader;
struct DecoderConfig;

/// One model family as data: the config.json it recognises, the translation into DecoderConfig, and
/// its tensor names. Adding a family is one file that defines one of these, its declaration below
/// and one line in registry.cpp.
struct Family {
  std::string_view model_type;           ///< config.json's model_type
  std::string_view sequence_classifier;  ///< architectures[0] of a reward model
  std::string_view causal_lm;            ///< architectures[0] of a model without a reward head;
                                         ///< empty: an encoder, which has none
  /// Reads the family-specific settings and rejects, by name, settings the family does not have.
  void (*read_config)(const ConfigReader& reader, DecoderConfig& config);
  const WeightNames* names;
  std::int64_t default_head_dim =
      0;  ///< where config.json has none; 0: hidden_size / num_attention_heads
  /// Published with a copy of its code (`auto_map`), which transformers has too and prefers.
  bool has_published_code = false;
};

/// Llama 1 to 3.2 and models that share its architecture (SmolLM2, TinyLlama, ...).
/// transformers 5.17, models/llama.
extern const Family kLlama;

/// Mistral 7B and its relatives: Llama with sliding-window attention in all layers.
/// transformers 5.17, models/mistral.
extern const Family kMistral;

/// Qwen2 and Qwen2.5: Llama with biases on q, k and v, and sliding windows in the upper layers.
/// transformers 5.17, models/qwen2.
extern const Family kQwen2;

/// Qwen3: Llama with QK-norm, and sliding windows as in Qwen2. transformers 5.17, models/qwen3.
extern const Family kQwen3;

/// Gemma (the first): Llama with a scaled embedding, norms with 1 + weight, GeGLU and its own head
/// width.
extern const Family kGemma;

/// Gemma-2: four norms per block with 1 + weight, soft-capped attention, sliding window in every
/// other layer. transformers 5.17, models/gemma2, eager attention (its default, sdpa, ignores the
/// soft cap).
extern const Family kGemma2;

/// Gemma-3 text models: Gemma-2 without soft cap, with QK-norm and a separate RoPE for
/// sliding-window layers. transformers 5.17, models/gemma3.
extern const Family kGemma3;

/// Gemma-4 text models: Gemma-3 with heads of another width in layers without a window, RoPE of a
/// share of their pairs, normed values, K and V shared by the last layers, per-layer embeddings and
/// a scalar per layer. transformers 5.17, models/gemma4.
extern const Family kGemma4;

/// OLMo-2: norms after attention and MLP alone, one QK-norm over all heads. transformers 5.17,
/// models/olmo2.
extern const Family kOlmo2;

/// OLMo-3: OLMo-2 with sliding windows in three of four layers, and RoPE scaling in the fourth
/// alone. transformers 5.17, models/olmo3.
extern const Family kOlmo3;

/// Qwen3.5 text models: gated delta nets, linear attention, in three of four layers; attention with
/// a gated output and partial rotary embedding in the fourth. transformers 5.17, models/qwen3_5.
extern const Family kQwen35;

/// Mixtral: Mistral with a mixture of experts in place of each MLP. transformers 5.17,
/// models/mixtral.
extern const Family kMixtral;

/// Qwen3-MoE: Qwen3 with a mixture of experts in all layers or some. transformers 5.17,
/// models/qwen3_moe.
extern const Family kQwen3Moe;

/// Phi-3: Mistral with fused projections and LongRoPE. transformers 5.17, models/phi3.
extern const Family kPhi3;

/// InternLM2: Llama under other names, q, k and v fused. Its own modeling_internlm2.py.
extern const Family kInternLm2;

/// DeBERTa-v2 and v3: a bidirectional encoder with disentangled attention. transformers 5.17,
/// models/deberta_v2.
extern const Family kDebertaV2;

/// Every supported family.
std::span<const Family* const> all_families();

/// The family of an architecture's name; nullptr when none has it.
const Family* find_family(std::string_view architecture);

/// The family of a model_type that is known to be one of ours.
const Family& family_of_type(std::string_view model_type);

}  // namespace charm::engine
