#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/layout.h"
#include "charm/engine/model_config.h"
#include "charm/kernels/attention.h"
#include "charm/kernels/gemm.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/row_gradients.h"

namespace charm::engine {

// T packed tokens, Q query rows (all tokens, or the responses' last ones), D model width, H query
// heads, K key/value heads, E head width, F MLP width.

/// A gated MLP, packed for the forward pass and for input gradients.
struct TrainingMlp {
  kernels::PackedWeight gate, up, down;
  kernels::PackedWeight gate_up_t;  ///< [dgate, dup] -> dx
  kernels::PackedWeight down_t;
};

/// A block's linear layers, packed once per optimiser step from the float32 masters.
struct TrainingLayers {
  kernels::PackedWeight q, k, v, o;
  kernels::PackedWeight qkv_t;  ///< [dq, dk, dv] -> dx
  kernels::PackedWeight o_t;
  TrainingMlp mlp;                         ///< or the experts
  kernels::PackedWeight router, router_t;  ///< float32
  std::vector<TrainingMlp> experts;
};

/// @param weights   with split projections
/// @param backward  also packs for input gradients; a frozen block needs none
template <typename Element>
TrainingLayers pack_training_layers(const BlockWeights& weights, bool backward);

/// Memory that grows to the largest request and is kept.
class TrainingBuffer {
 public:
  template <typename Element>
  Element* take(std::int64_t elements) {
    const auto words =
        (static_cast<std::size_t>(elements) * sizeof(Element) + sizeof(std::uint32_t) - 1) /
        sizeof(std::uint32_t);
    if (memory_.size() < words) {
      memory_ = kernels::HugePageBuffer();  // freed before the larger one is allocated
      memory_ = kernels::HugePageBuffer(words);
    }
    return reinterpret_cast<Element*>(memory_.data());
  }
  /// As taken last.
  template <typename Element>
  Element* get() {
    return reinterpret_cast<Element*>(memory_.data());
  }
  kernels::HugePageBuffer& memory() { return memory_; }

 private:
  kernels::HugePageBuffer memory_;
};

/// What a block keeps of its forward pass; the rest is recomputed in backward.
enum class Stored : std::uint8_t {
  kInput,      ///< its input alone
  kAttention,  ///< and what attention computed
  kAll,        ///< and the MLP's projections
};

/// Activations of one block.
struct SavedActivations {
  Stored stored = Stored::kInput;
  TrainingBuffer q, k, v;            ///< [T, H*E], [T, K*E]: after QK-norm and RoPE
  TrainingBuffer q_in, k_in;         ///< before them, with QK-norm
  TrainingBuffer q_last;             ///< [S, H*E] in the last block
  TrainingBuffer attended;           ///< [Q, H*E]
  TrainingBuffer log_sum_exp;        ///< [H, Q]
  TrainingBuffer attention_out;      ///< [Q, D] before the norm after attention
  TrainingBuffer middle;             ///< [Q, D] after the first residual add
  TrainingBuffer gate, up, mlp_out;  ///< [Q, F], [Q, F], [Q, D] before the norm after the MLP
};

/// Memory of one tile or one block, shared by all blocks.
struct TrainingWorkspace {
  TrainingBuffer normed, d_normed, hidden, d_hidden, gate, up, d_gate_up, branch, d_branch;
  TrainingBuffer d_attended, dq_last, d_qkv, packed_kv;
  kernels::AttentionBackwardMemory attention;
  TrainingBuffer panels_x, panels_a, panels_b, panels_c;
  // Experts.
  TrainingBuffer normed_f32, logits, d_logits, gathered, d_gathered, expert_out, d_expert_out,
      routed;
};

// training_layers.cpp: linear layers and gated MLPs.

/// y = x W^T + b, or y += that.
template <typename Element>
void apply(const kernels::PackedWeight& layer, const Element* x, std::int64_t rows, Element* y,
           bool add = false) {
  const kernels::GemmOutput<Element> outputs[] = {{&layer, y, layer.outputs(), add}};
  kernels::gemm<Element>(x, layer.inputs(), rows, outputs);
}

/// One linear layer's gradients over one tile: dW += dY^T X and db += sum of dY.
template <typename Element>
struct LayerGradient {
  kernels::Rows<const Element> dy;  ///< [rows, outputs]
  Tensor* weight_OI = nullptr;      ///< gradient
  Tensor* bias_O = nullptr;         ///< null or undefined: no bias
  TrainingBuffer* panels = nullptr;
};

/// Of layers with the same input.
template <typename Element>
void add_layer_gradients(std::initializer_list<LayerGradient<Element>> layers, const Element* x,
                         std::int64_t inputs, const std::vector<kernels::RowRun>& runs,
                         TrainingBuffer& panels_x);

/// What a gated MLP computes from its input on the way to its output, [rows, F] each.
template <typename Element>
struct MlpRows {
  Element *gate = nullptr, *up = nullptr, *hidden = nullptr;
};

template <typename Element>
void mlp_hidden(const TrainingMlp& mlp, Activation activation, const Element* x, std::int64_t rows,
                const MlpRows<Element>& to);

/// Gradients of a gated MLP's weights.
struct MlpGradients {
  Tensor *gate_FD, *up_FD, *down_DF;
  Tensor *gate_bias = nullptr, *up_bias = nullptr, *down_bias = nullptr;
};

/// Adds the weights' gradients; dx = the gradient of its input.
template <typename Element>
void gated_mlp_backward(const TrainingMlp& mlp, Activation activation,
                        const MlpGradients& gradients, const Element* x,
                        const MlpRows<Element>& values, const Element* dy, Element* dx,
                        const std::vector<kernels::RowRun>& runs, TrainingWorkspace& workspace);

/// Layers and memory of one forward or backward pass of a block.
template <typename Element>
struct TrainingPass {
  const TrainingBatch& batch;
  const QueryRows& rows;  ///< `batch.all`, or in the last block `batch.last`
  const Element* x_TD;    ///< the block's input
  SavedActivations& saved;
  TrainingWorkspace& workspace;

  bool is_last() const { return &rows == &batch.last; }
};

/// A decoder block with a backward pass written by hand: norm, attention, (norm,) add, norm, MLP,
/// (norm,) add. Linear layers and attention compute in `Element`, norms and routers in float32 on
/// the masters. Row tiles bound the memory; all sums over rows run in the order of the rows. Not
/// thread-safe.
template <typename Element>
class TrainingBlock {
 public:
  using Pass = TrainingPass<Element>;

  /// @param weights    float32 masters with split projections; shared
  /// @param gradients  of the same shapes; undefined tensors for a frozen block
  TrainingBlock(const DecoderConfig& config, std::size_t layer, BlockWeights weights,
                BlockWeights gradients);

  /// Packs the masters; call after every optimiser step.
  void refresh();

  bool is_trainable() const { return gradients_.o_DHE.defined(); }

  /// @param y_QD  the output
  void forward(const Pass& pass, Element* y_QD) const;

  /// Adds the weights' gradients. `pass.saved` may be of any kind; what it lacks is computed again,
  /// in it.
  /// @param dy_QD  gradient of the output; overwritten
  /// @param dx_TD  gradient of the input; dy_QD itself where every token is a query row
  void backward(const Pass& pass, Element* dy_QD, Element* dx_TD);

 private:
  std::int64_t q_width() const { return config_.num_heads * config_.head_dim; }
  std::int64_t kv_width() const { return config_.num_kv_heads * config_.head_dim; }
  std::int64_t width() const { return config_.hidden_size; }
  std::int64_t mlp_width() const { return layers_.mlp.gate.outputs(); }
  float norm_offset() const { return config_.norms_add_one ? 1.0f : 0.0f; }
  float eps() const { return static_cast<float>(config_.rms_norm_eps); }
  kernels::HeadRows<Element> head_rows(const Element* data, std::int64_t heads) const {
    return {data, config_.head_dim, heads * config_.head_dim};
  }

  const Element* norm(const Element* x, const Tensor& weight_D, std::int64_t rows,
                      TrainingBuffer& to) const;
  void attention_forward(const Pass& pass) const;
  void project(const Pass& pass) const;
  const Element* query_rows(const Pass& pass) const;
  /// y = residual + norm(layer(x)), or residual + layer(x). `branch` keeps layer(x) where there is
  /// a norm.
  void add_branch(const kernels::PackedWeight& layer, const Element* x, const Tensor& norm_D,
                  const Element* residual, Element* y, Element* branch, std::int64_t rows,
                  TrainingWorkspace& workspace) const;
  /// y = residual + norm(branch).
  void add_normed(const Element* branch, const Tensor& norm_D, const Element* residual, Element* y,
                  std::int64_t rows, TrainingWorkspace& workspace) const;
  void mlp_tile(const Element* middle, Element* y, const MlpRows<Element>& mlp, Element* mlp_out,
                std::int64_t rows, TrainingWorkspace& workspace) const;

  /// A norm's weight gradient, and dx = (add: dx +=) the gradient through it. `heads` norms stand
  /// side by side in a row.
  void norm_backward(const Tensor& norm, Tensor& gradient, kernels::Rows<const Element> x,
                     kernels::Rows<const Element> dy, kernels::Rows<Element> dx, std::int64_t rows,
                     std::int64_t heads, bool add) const;
  /// Gradient of what a branch gave before its norm; `dy` itself without one.
  const Element* branch_gradient(const Element* dy, const Element* branch, const Tensor& norm_D,
                                 Tensor& gradient_D, std::int64_t rows, TrainingBuffer& to) const;
  /// dx += the gradient through the norm before a branch; adds the norm's weight gradient.
  void add_norm_gradient(const Element* x, const Element* d_normed, const Tensor& norm_D,
                         Tensor& gradient_D, Element* dx, std::int64_t rows) const;
  void mlp_backward(const Pass& pass, const RowTile& tile, Element* dy_QD);
  void attention_backward(const Pass& pass, Element* dy_QD, Element* dx_TD);
  void projections_backward(const Pass& pass, Element* d_qkv, Element* dx_TD);

  // training_experts.cpp
  struct ExpertPass;
  ExpertPass run_experts(const Element* normed, std::int64_t rows,
                         TrainingWorkspace& workspace) const;
  void experts_forward(const Element* normed, bool add, Element* out, std::int64_t rows,
                       TrainingWorkspace& workspace) const;
  /// d_normed = the gradient of the experts' input.
  void experts_backward(const Element* normed, const Element* d_out, Element* d_normed,
                        std::int64_t rows, TrainingWorkspace& workspace);

  DecoderConfig config_;
  kernels::AttentionShape attention_shape_;
  std::size_t rope_;
  BlockWeights weights_, gradients_;
  TrainingLayers layers_;
};

/// Memory of one block's activations for a batch, in bytes.
struct ActivationBytes {
  double input = 0.0;      ///< its input, which is always kept
  double attention = 0.0;  ///< what Stored::kAttention adds
  double mlp = 0.0;        ///< what Stored::kAll adds to that
};

ActivationBytes activation_bytes(const DecoderConfig& config, std::int64_t tokens,
                                 std::size_t element_bytes);

/// What each of the blocks from `first_block` on stores for batches of `tokens`, so that all
/// together take at most `limit_bytes`; blocks before it store nothing. The last block's backward
/// pass directly follows its forward pass, so it always stores all. Attention is stored first: it
/// costs more to recompute per byte. Throws kResource, naming the memory needed, where even the
/// inputs and one recomputed block take more; a limit of 0 is none, and stores inputs alone.
std::vector<Stored> plan_activations(const DecoderConfig& config, std::int64_t first_block,
                                     std::int64_t tokens, std::size_t element_bytes,
                                     double limit_bytes);

}  // namespace charm::engine
