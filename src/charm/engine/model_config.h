#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/engine/encoder_config.h"
#include "charm/kernels/delta_net.h"
#include "charm/kernels/kernels.h"

namespace charm::engine {

struct HeadEvidence;
struct ModelSource;

/// Activation of the gated MLP.
using Activation = kernels::GateFunction;

/// Source of the formulas: transformers 5.17, eager_attention_forward of modeling_gemma2.py.
struct AttentionConfig {
  double scale = 0.0;       ///< of q.k; 0: 1/sqrt(E)
  std::int64_t window = 0;  ///< sliding window: a token attends to itself and the window-1
                            ///< positions before it; 0: none
  double softcap = 0.0;     ///< logits become softcap * tanh(logits / softcap); 0: none
};

/// RMSNorm.
struct NormConfig {
  double eps = 1e-6;
  double weight_offset =
      0.0;  ///< added to the weight; 1 in Gemma, whose weights are stored around 0
};

enum class RopeKind { kDefault, kLinear, kLlama3, kDynamic, kYarn, kLongRope, kProportional };

/// RoPE settings. Formulas: transformers 5.17 modeling_rope_utils.py.
struct RopeConfig {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000.0;
  double partial_factor = 1.0;  ///< share of a head's values that are rotated, from the first on
  double rotated_pairs = 1.0;   ///< proportional only: share of a head's pairs that are rotated
  std::int64_t head_dim = 0;    ///< of the layers that it is for; 0: the model's
  double factor = 1.0;
  double low_freq_factor = 1.0;   ///< llama3 only
  double high_freq_factor = 4.0;  ///< llama3 only
  /// llama3 and yarn: context length of pretraining; dynamic and longrope: length up to which the
  /// frequencies are fixed.
  std::int64_t original_max_position_embeddings = 0;
  double beta_fast = 32.0;  ///< yarn only: rotations above which a frequency is extrapolated (kept)
  double beta_slow =
      1.0;  ///< yarn only: rotations below which it is interpolated (divided by `factor`)
  bool truncate = true;           ///< yarn only: the ramp's bounds are rounded to whole dimensions
  double attention_factor = 1.0;  ///< yarn and longrope: multiplies cos and sin
  /// longrope only: divisors of each pair's frequency, for sequences up to the original length and
  /// for longer ones.
  std::vector<double> short_factor = {}, long_factor = {};
  /// longrope only: the KV cache is recomputed when a sequence outgrows the original length, so
  /// that all its tokens have the same frequencies (transformers' Phi-3); otherwise cached keys
  /// stay.
  bool recomputes_cache = false;
  bool operator==(const RopeConfig&) const = default;
};

/// See heads.cpp for their layers.
enum class HeadKind {
  kNone,               ///< a causal LM without a reward head
  kLinear,             ///< transformers' *ForSequenceClassification
  kTwoLayers,          ///< INF-ORM, Qwen2.5-Math-RM
  kValueHead,          ///< GRM
  kRegression,         ///< Eurus-RM, UltraRM
  kGated,              ///< ArmoRM
  kQuantiles,          ///< QRM
  kMeansAndVariances,  ///< URM
  kDistribution,       ///< LDL
  kOpenRlhf,           ///< OpenRLHF's RewardModel
  kRewardToken,        ///< InternLM2's, read at a token that is appended
  kLmLogit,            ///< a logit of a causal LM (NVIDIA's Nemotron rewards)
  kPooler,             ///< of bidirectional encoders (DeBERTa)
};

/// One module of a head's network, as torch's Sequential numbers it.
struct HeadModule {
  std::int64_t number = -1;  ///< -1: the network is this module alone, without a number
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  bool has_bias = false;
  bool is_batch_norm = false;
  bool operator==(const HeadModule&) const = default;
};

/// A mixture of experts in place of the MLP.
struct ExpertConfig {
  kernels::ExpertRouting routing;
  std::int64_t width = 0;                  ///< MLP width of each expert
  std::vector<std::int64_t> dense_layers;  ///< layers that have an MLP instead
  bool operator==(const ExpertConfig&) const = default;
};

/// A gated delta net, linear attention, in place of attention.
struct DeltaNetConfig {
  kernels::DeltaShape shape;
  std::int64_t taps = 0;             ///< of its convolution
  std::vector<std::int64_t> layers;  ///< layers that have one
  bool operator==(const DeltaNetConfig&) const = default;
};

/// What layers without a window have of their own (Gemma-4).
struct GlobalLayers {
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  bool values_are_keys = false;  ///< the values are k_proj's output, before its norm and RoPE
  bool operator==(const GlobalLayers&) const = default;
};

/// Per-layer embeddings (Gemma-4): each layer adds an input of its own, which depends on the token.
struct PerLayerConfig {
  std::int64_t width = 0;
  std::int64_t vocab_size = 0;
  bool operator==(const PerLayerConfig&) const = default;
};

/// Hyperparameters of a decoder; families differ in this data, not in code paths. A model with
/// `encoder` is no decoder: the settings of attention, norms and RoPE below mean nothing for it.
struct DecoderConfig {
  std::string architecture;  ///< "LlamaForSequenceClassification", ...
  std::string model_type;    ///< "llama"
  std::string wrapper;       ///< model_type of the multimodal wrapper around the text model; empty:
                             ///< none
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tie_word_embeddings = false;
  Activation activation = Activation::kSilu;
  double embedding_scale = 1.0;      ///< multiplies the embeddings
  bool norms_add_one = false;        ///< RMSNorm scales by 1 + weight
  double attention_scale = 0.0;      ///< of q.k; 0: 1 / sqrt(head_dim)
  double attention_softcap = 0.0;    ///< see AttentionConfig; 0: none
  double final_logit_softcap = 0.0;  ///< of LM-head logits: cap * tanh(logits / cap); 0: none
  /// Sliding window per layer: a token attends to itself and the window-1 positions before it; 0:
  /// global attention. Empty: all global.
  std::vector<std::int64_t> windows;
  /// q_proj makes gates beside each head's queries, whose sigmoid multiplies attention's output.
  bool attention_output_gate = false;
  std::optional<DeltaNetConfig> delta_net;
  std::optional<GlobalLayers> global_layers;
  std::optional<PerLayerConfig> per_layer;
  /// The last layers use K and V of the last layer of their kind (window or none) before them.
  std::int64_t num_shared_kv_layers = 0;
  bool shared_kv_mlps_are_double = false;  ///< their MLPs are twice as wide
  bool norms_values = false;               ///< values are divided by their RMS, per head
  bool scales_layers = false;              ///< a layer's output is multiplied by a stored scalar
  std::optional<ExpertConfig> experts;
  std::optional<EncoderConfig> encoder;  ///< a bidirectional encoder in place of the decoder
  RopeConfig rope;
  std::optional<RopeConfig> local_rope;  ///< RoPE of sliding-window layers, where it differs
  HeadKind head = HeadKind::kNone;
  std::int64_t head_num_hidden = 0;    ///< value heads: hidden layers
  std::int64_t head_hidden_width = 0;  ///< width of each hidden layer
  std::string head_name;               ///< OpenRLHF: its tensor without ".weight"
  double score_mean = 0.0;             ///< OpenRLHF: subtracted from the head's output,
  double score_std = 1.0;              ///< which is then divided by this
  std::int64_t num_objectives = 0;     ///< gated heads: number of objectives
  std::vector<HeadModule> reward_modules, gate_modules;  ///< of gated heads' networks
  bool has_reward_transform = false;                     ///< gated heads: a matrix on the rewards
  bool has_gate_scale = false;                           ///< gated heads: a factor of the weights
  bool gate_softmax = true;        ///< gated heads: weights are a softmax of the gate's outputs
  std::int32_t head_logit_id = 0;  ///< of a logit head
  std::string head_place;          ///< file or option that told the head; empty: config.json
  double gate_temperature = 1.0;   ///< gated heads: softmax temperature of the gate
  /// Gated heads: the gating network reads at the last occurrence of these tokens; see
  /// make_pooled_row.
  std::vector<std::int32_t> gate_tokens;
  std::int32_t pad_token_id = -1;
  std::int32_t appended_token = -1;  ///< that a conversation ends with when it is scored; -1: none
  std::vector<std::int32_t> eos_token_ids;
  std::optional<std::int32_t> bos_token_id;
  double initializer_range =
      0.02;  ///< standard deviation of randomly initialised weights, as stated: it may be 0
  std::string stored_dtype;  ///< "float32", "bfloat16", ... from config.json; empty where absent
  bool operator==(const DecoderConfig&) const = default;
};

/// Whether a layer has no window.
bool is_global(const DecoderConfig& config, std::size_t layer);

std::int64_t num_kv_heads(const DecoderConfig& config, std::size_t layer);
std::int64_t head_dim(const DecoderConfig& config, std::size_t layer);

/// Whether a layer uses K and V of another.
bool shares_kv(const DecoderConfig& config, std::size_t layer);

/// Whether another layer uses this layer's K and V.
bool lends_kv(const DecoderConfig& config, std::size_t layer);

/// Width of a layer's MLP.
std::int64_t mlp_width(const DecoderConfig& config, std::size_t layer);

/// Values that the MLPs of one layer compute per token, at most: the width of the MLP, or of all
/// experts of a token with their inputs and outputs.
std::int64_t mlp_values_per_token(const DecoderConfig& config);

/// Context length of a conversation: less the token that is appended to it.
inline std::int64_t conversation_positions(const DecoderConfig& config) {
  return config.max_positions - (config.appended_token >= 0 ? 1 : 0);
}

/// Values of a head that RoPE rotates.
std::int64_t rotary_dim(const DecoderConfig& config, const RopeConfig& rope);

/// RMSNorm of all of a model's norms.
NormConfig norm_config(const DecoderConfig& config);

/// Attention of a layer.
AttentionConfig attention_config(const DecoderConfig& config, std::size_t layer);

/// Index of a layer's RoPE frequencies.
std::size_t rope_index(const DecoderConfig& config, std::size_t layer);

/// Whether a layer has experts in place of its MLP.
bool has_experts(const DecoderConfig& config, std::size_t layer);

/// Whether a layer has a gated delta net in place of attention.
bool has_delta_net(const DecoderConfig& config, std::size_t layer);

/// Whether the responses to a prompt share its keys and values: not where its tokens attend to the
/// response, so that each row is a sequence of its own.
inline bool shares_prompts(const DecoderConfig& config) { return !config.encoder; }

/// Whether a model has layers that are computed for scoring alone, on the CPU.
bool scores_alone(const DecoderConfig& config);

/// Throws kInput for such a model.
/// @param task     what is refused, "training"
/// @param instead  the next step
void require_more_than_scores(const DecoderConfig& config, std::string_view task,
                              std::string_view instead);

/// Reads config.json in transformers 4 and 5 spellings. Throws kInput naming the file, the key,
/// expected and found; rejects unknown architectures (listing the supported), remote code,
/// quantised checkpoints and num_labels other than 1.
DecoderConfig load_model_config(const ModelSource& source);

/// The same for a folder without an adapter.
DecoderConfig load_model_config(const std::filesystem::path& model_dir);

/// The same from the text of a config.json; `name` is used in messages.
DecoderConfig parse_model_config(const std::string& json_text, const std::string& name,
                                 const HeadEvidence& evidence);
DecoderConfig parse_model_config(const std::string& json_text, const std::string& name);

}  // namespace charm::engine
