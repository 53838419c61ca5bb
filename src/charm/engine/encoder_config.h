#pragma once

#include <cstdint>

namespace charm::engine {

/// Activations of a bidirectional encoder's MLPs, pooler and convolution.
enum class EncoderActivation {
  kGelu,      ///< z / 2 * (1 + erf(z / sqrt(2)))
  kGeluTanh,  ///< its approximation by tanh
  kRelu,
  kTanh,
};

/// Disentangled attention: the logit of query i and key j is the sum of q_i.k_j and, by the
/// relative position i - j, of q_i.pk and k_j.pq, where pk and pq are projections of a row of a
/// learned table; all divided by sqrt(number of terms * head width).
/// Source: transformers 5.17, modeling_deberta_v2.py.
struct RelativeAttention {
  std::int64_t span = 0;             ///< the table has 2 * span rows; 0: no table
  std::int64_t buckets = 0;          ///< positions farther than half of them share rows, by their
                                     ///< logarithm; 0: a row each
  std::int64_t max_position = 0;     ///< of the last bucket
  bool content_to_position = false;  ///< q_i.pk
  bool position_to_content = false;  ///< k_j.pq
  bool shares_content_weights = false;  ///< pk and pq by the projections of keys and queries
  bool norms_table = false;             ///< LayerNorm on the table's rows
  bool operator==(const RelativeAttention&) const = default;
};

/// A convolution over the tokens beside the first block (DeBERTa-v2 xlarge).
struct EncoderConvolution {
  std::int64_t taps = 0;  ///< 0: none
  EncoderActivation activation = EncoderActivation::kTanh;
  bool operator==(const EncoderConvolution&) const = default;
};

/// What a bidirectional encoder (DeBERTa-v2, v3) has besides the sizes of DecoderConfig: every
/// token attends to all tokens of its row, norms are LayerNorms after attention and MLP, and the
/// head reads the first token.
struct EncoderConfig {
  std::int64_t embedding_width = 0;  ///< of the stored embedding; projected to the model's width
  std::int64_t num_token_types =
      0;                       ///< rows of the embedding of the first and second text; 0: none
  bool has_positions = false;  ///< absolute positions have an embedding too
  RelativeAttention relative;
  EncoderConvolution convolution;
  double norm_eps = 1e-7;
  EncoderActivation activation = EncoderActivation::kGelu;
  EncoderActivation pooler_activation = EncoderActivation::kGelu;
  bool operator==(const EncoderConfig&) const = default;
};

}  // namespace charm::engine
