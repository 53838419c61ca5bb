#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "charm/engine/training_block.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

// T rows of a tile, X experts, k experts per row, N = T k gathered rows, D model width, F an
// expert's width.

constexpr std::int64_t kMinExpertRows = 16;  ///< per thread

using kernels::narrow_to;
using kernels::widened;

/// The expert of each gathered row.
std::vector<std::int64_t> experts_of(const kernels::ExpertRows& rows) {
  std::vector<std::int64_t> experts(rows.rows_N.size());
  for (std::size_t e = 0; e + 1 < rows.begins_X.size(); ++e) {
    for (std::int64_t n = rows.begins_X[e]; n < rows.begins_X[e + 1]; ++n)
      experts[static_cast<std::size_t>(n)] = static_cast<std::int64_t>(e);
  }
  return experts;
}

/// Gradient of a row's logits by the weights of its experts. Normalised weights are a softmax over
/// the chosen logits, the others probabilities among all.
void add_logit_gradients(const float* logits_X, const kernels::ExpertRouting& routing,
                         const std::int64_t* experts_k, const float* weights_k,
                         const double* d_weights_k, float* d_logits_X) {
  const auto k = static_cast<std::size_t>(routing.experts_per_token);
  double dot = 0.0;
  for (std::size_t j = 0; j < k; ++j) dot += double{weights_k[j]} * d_weights_k[j];
  if (!routing.normalise) {
    std::vector<float> p(static_cast<std::size_t>(routing.num_experts));
    const double sum =
        kernels::softmax_weights(logits_X, routing.num_experts, /*scale=*/1.0f, p.data());
    for (std::size_t x = 0; x < p.size(); ++x)
      d_logits_X[x] -= static_cast<float>(p[x] / sum * dot);
    for (std::size_t j = 0; j < k; ++j)
      d_logits_X[experts_k[j]] += static_cast<float>(double{weights_k[j]} * d_weights_k[j]);
    return;
  }
  for (std::size_t j = 0; j < k; ++j)
    d_logits_X[experts_k[j]] += static_cast<float>(double{weights_k[j]} * (d_weights_k[j] - dot));
}

}  // namespace

/// The experts' forward pass over one tile.
template <typename Element>
struct TrainingBlock<Element>::ExpertPass {
  kernels::ExpertRows rows;
  const float* normed_f32 = nullptr;  ///< [T, D]
  const float* logits = nullptr;      ///< [T, X]
  Element* gathered = nullptr;        ///< [N, D]
  MlpRows<Element> mlps;              ///< [N, F]
  Element* out = nullptr;             ///< [N, D]

  /// From row `begin` on.
  MlpRows<Element> mlps_from(std::int64_t begin, std::int64_t values) const {
    return {mlps.gate + begin * values, mlps.up + begin * values, mlps.hidden + begin * values};
  }
};

template <typename Element>
typename TrainingBlock<Element>::ExpertPass TrainingBlock<Element>::run_experts(
    const Element* normed, std::int64_t rows, TrainingWorkspace& workspace) const {
  const kernels::ExpertRouting& routing = config_.experts.value().routing;
  ExpertPass pass;
  auto* normed_f32 = workspace.normed_f32.take<float>(rows * width());
  for (std::int64_t i = 0; i < rows * width(); ++i) normed_f32[i] = widened(normed[i]);
  auto* logits = workspace.logits.take<float>(rows * routing.num_experts);
  apply(layers_.router, normed_f32, rows, logits);
  pass.normed_f32 = normed_f32;
  pass.logits = logits;
  pass.rows = kernels::route(logits, rows, routing);
  const auto gathered = static_cast<std::int64_t>(pass.rows.rows_N.size());
  const std::int64_t values = layers_.experts.front().gate.outputs();
  pass.gathered = workspace.gathered.take<Element>(gathered * width());
  pass.mlps = {.gate = workspace.gate.take<Element>(gathered * values),
               .up = workspace.up.take<Element>(gathered * values),
               .hidden = workspace.hidden.take<Element>(gathered * values)};
  pass.out = workspace.expert_out.take<Element>(gathered * width());
  kernels::gather_rows<Element>(normed, pass.rows, width(), pass.gathered);
  for (std::size_t e = 0; e < layers_.experts.size(); ++e) {
    const std::int64_t begin = pass.rows.begins_X[e];
    const std::int64_t count = pass.rows.begins_X[e + 1] - begin;
    if (count == 0) continue;
    const TrainingMlp& mlp = layers_.experts[e];
    const MlpRows<Element> rows_of_expert = pass.mlps_from(begin, values);
    mlp_hidden(mlp, config_.activation, pass.gathered + begin * width(), count, rows_of_expert);
    apply(mlp.down, rows_of_expert.hidden, count, pass.out + begin * width());
  }
  return pass;
}

template <typename Element>
void TrainingBlock<Element>::experts_forward(const Element* normed, bool add, Element* out,
                                             std::int64_t rows,
                                             TrainingWorkspace& workspace) const {
  const ExpertPass pass = run_experts(normed, rows, workspace);
  kernels::combine_rows<Element>(pass.out, pass.rows, rows, width(), add, out);
}

template <typename Element>
void TrainingBlock<Element>::experts_backward(const Element* normed, const Element* d_out,
                                              Element* d_normed, std::int64_t rows,
                                              TrainingWorkspace& workspace) {
  const kernels::ExpertRouting& routing = config_.experts.value().routing;
  const ExpertPass pass = run_experts(normed, rows, workspace);
  const auto num_gathered = static_cast<std::int64_t>(pass.rows.rows_N.size());
  const std::int64_t k = routing.experts_per_token, num_experts = routing.num_experts;
  const std::int64_t values = layers_.experts.front().gate.outputs();
  const std::vector<std::int64_t> expert_of = experts_of(pass.rows);

  auto* d_expert_out = workspace.d_expert_out.take<Element>(num_gathered * width());
  auto* d_logits = workspace.d_logits.take<float>(rows * num_experts);
  std::fill_n(d_logits, rows * num_experts, 0.0f);
  kernels::parallel_for_ranges(rows, kMinExpertRows, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int64_t> experts(static_cast<std::size_t>(k));
    std::vector<double> d_weights(experts.size());
    for (std::int64_t t = begin; t < end; ++t) {
      const float* weights = pass.rows.weights_Tk.data() + t * k;
      const Element* dy = d_out + t * width();
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t n = pass.rows.places_Tk[static_cast<std::size_t>(t * k + j)];
        const Element* y = pass.out + n * width();
        Element* d_expert = d_expert_out + n * width();
        double dot = 0.0;
        for (std::int64_t d = 0; d < width(); ++d) {
          dot += double{widened(y[d])} * widened(dy[d]);
          narrow_to(weights[j] * widened(dy[d]), d_expert[d]);
        }
        d_weights[static_cast<std::size_t>(j)] = dot;
        experts[static_cast<std::size_t>(j)] = expert_of[static_cast<std::size_t>(n)];
      }
      add_logit_gradients(pass.logits + t * num_experts, routing, experts.data(), weights,
                          d_weights.data(), d_logits + t * num_experts);
    }
  });

  auto* d_gathered = workspace.d_gathered.take<Element>(num_gathered * width());
  for (std::size_t e = 0; e < layers_.experts.size(); ++e) {
    const std::int64_t begin = pass.rows.begins_X[e];
    const std::int64_t count = pass.rows.begins_X[e + 1] - begin;
    if (count == 0) continue;
    // A step of its own for every row: which rows an expert has in a tile depends on the batch.
    std::vector<kernels::RowRun> runs;
    for (std::int64_t n = 0; n < count; ++n) runs.push_back({n, 1});
    ExpertWeights& gradient = gradients_.experts[e];
    gated_mlp_backward(layers_.experts[e], config_.activation,
                       {&gradient.gate_FD, &gradient.up_FD, &gradient.down_DF},
                       pass.gathered + begin * width(), pass.mlps_from(begin, values),
                       d_expert_out + begin * width(), d_gathered + begin * width(), runs,
                       workspace);
  }

  add_layer_gradients<float>(
      {{{d_logits, num_experts}, &gradients_.router_XD, nullptr, &workspace.panels_a}},
      pass.normed_f32, width(), {{0, rows}}, workspace.panels_x);
  auto* routed = workspace.routed.take<float>(rows * width());
  apply(layers_.router_t, d_logits, rows, routed);
  for (std::int64_t i = 0; i < rows * width(); ++i) narrow_to(routed[i], d_normed[i]);
  kernels::ExpertRows sums = pass.rows;
  std::fill(sums.weights_Tk.begin(), sums.weights_Tk.end(), 1.0f);
  kernels::combine_rows<Element>(d_gathered, sums, rows, width(), /*add=*/true, d_normed);
}

#define CHARM_TRAINING_EXPERTS_FOR(Element)                                                        \
  template void TrainingBlock<Element>::experts_forward(const Element*, bool, Element*,            \
                                                        std::int64_t, TrainingWorkspace&) const;   \
  template void TrainingBlock<Element>::experts_backward(const Element*, const Element*, Element*, \
                                                         std::int64_t, TrainingWorkspace&);
CHARM_TRAINING_EXPERTS_FOR(float)
CHARM_TRAINING_EXPERTS_FOR(BFloat16)
#undef CHARM_TRAINING_EXPERTS_FOR

}  // namespace charm::engine
