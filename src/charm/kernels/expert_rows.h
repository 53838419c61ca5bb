#pragma once

#include <cstdint>
#include <vector>

// Rows of a mixture-of-experts layer: which expert computes which rows, gathered and summed again.
// T rows, X experts, k experts per row, N = T * k gathered rows, D width.
namespace charm::kernels {

/// Top-k routing of a layer.
struct ExpertRouting {
  std::int64_t num_experts = 0;
  std::int64_t experts_per_token = 0;
  /// The weights of a row's experts sum to 1; otherwise they are the probabilities among all
  /// experts.
  bool normalise = true;
  bool operator==(const ExpertRouting&) const = default;
};

/// Rows sorted by expert, rows of one expert in their own order.
struct ExpertRows {
  std::vector<std::int64_t> begins_X;   ///< [X + 1]: expert e computes begins_X[e] ..
                                        ///< begins_X[e + 1] of the gathered rows
  std::vector<std::int64_t> rows_N;     ///< the row of each gathered one
  std::vector<std::int64_t> places_Tk;  ///< gathered rows of each row, in ascending order of expert
  std::vector<float> weights_Tk;        ///< their weights
};

/// The k most probable experts of every row: softmax over all logits, top-k, weights. Of equal
/// logits the lower expert wins. Source: transformers 5.17, Qwen3MoeTopKRouter and
/// MixtralTopKRouter. A row's experts and weights depend on its own logits alone.
ExpertRows route(const float* logits_TX, std::int64_t rows, const ExpertRouting& routing);

/// out[n] = x[rows_N[n]].
template <typename Element>
void gather_rows(const Element* x_TD, const ExpertRows& experts, std::int64_t width,
                 Element* out_ND);

/// out[t] = sum_j weights[t, j] * y[places[t, j]], or out[t] + that sum; in float32 in ascending
/// order of expert, rounded once.
template <typename Element>
void combine_rows(const Element* y_ND, const ExpertRows& experts, std::int64_t rows,
                  std::int64_t width, bool add, Element* out_TD);

}  // namespace charm::kernels
