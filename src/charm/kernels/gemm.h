#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "charm/kernels/kernels.h"

// GEMM of linear layers, y = x W^T + b, with fused epilogues (bias, residual add, SwiGLU / GeGLU).
// M rows, I inputs, O outputs, F outputs of a gated MLP's gate and up projections.
namespace charm::kernels {

/// The weight and bias of a linear layer, packed once into panels of 64 outputs. Immutable; safe
/// for concurrent use.
class PackedWeight {
 public:
  PackedWeight() = default;

  /// @param weight_OI  row-major; copied
  /// @param bias_O     may be null
  template <typename Element>
  static PackedWeight pack(const Element* weight_OI, const Element* bias_O, std::int64_t outputs,
                           std::int64_t inputs);

  /// Gate and up projections of a gated MLP, for which `gemm` computes f(gate) * up: a panel holds
  /// 32 outputs of each. Biases may be null.
  template <typename Element>
  static PackedWeight pack_gated(const Element* gate_FI, const Element* gate_bias_F,
                                 const Element* up_FI, const Element* up_bias_F,
                                 std::int64_t outputs, std::int64_t inputs);

  /// The transposes of layers with the same inputs, stacked: applied to their output gradients
  /// [M, sum of O], `gemm` computes dX = sum_i dY_i W_i [M, I], summed before it is rounded.
  /// @param weights_OI  each row-major with its number of outputs; copied
  template <typename Element>
  static PackedWeight pack_transposed(
      std::span<const std::pair<const Element*, std::int64_t>> weights_OI, std::int64_t inputs);

  std::int64_t outputs() const { return outputs_; }
  std::int64_t inputs() const { return inputs_; }
  bool is_gated() const { return gated_; }

  // For gemm.cpp.
  std::int64_t steps() const { return steps_; }
  std::int64_t columns_per_panel() const;
  std::int64_t num_panels() const;
  const std::uint32_t* panel(std::int64_t index) const;
  const float* bias(std::int64_t panel) const;  ///< [64], null without bias

 private:
  PackedWeight(std::int64_t outputs, std::int64_t inputs, std::int64_t steps, bool gated);
  void allocate_bias();

  std::int64_t outputs_ = 0, inputs_ = 0;
  std::int64_t steps_ = 0;  ///< of the micro-kernel: inputs, or pairs of them
  bool gated_ = false;
  HugePageBuffer panels_;    ///< [panels][steps][64]
  std::vector<float> bias_;  ///< [panels][64], empty without bias
};

/// One of the layers that `gemm` applies to its rows.
template <typename Element>
struct GemmOutput {
  const PackedWeight* weight = nullptr;
  Element* out = nullptr;  ///< [M, O], or [M, F] with a gated weight
  std::int64_t row_stride = 0;
  bool add = false;  ///< out += x W^T + b, rounded once; not with a gated weight
  GateFunction gate = GateFunction::kSilu;  ///< with a gated weight
};

/// Applies several layers to the same rows. Accumulates in float32 in order of the inputs (or pairs
/// of bfloat16 inputs), so a row's bits depend on that row alone, whatever M and the number of
/// threads. Results are rounded once.
/// @param x  [M, I], rows `x_stride` apart; no output may overlap it
template <typename Element>
void gemm(const Element* x, std::int64_t x_stride, std::int64_t rows,
          std::span<const GemmOutput<Element>> outputs);

// Weight gradients, products that sum over rows: dW = dY^T X. T rows, I inputs or columns, O
// outputs.

/// A range of rows.
struct RowRun {
  std::int64_t begin = 0;
  std::int64_t length = 0;
};

/// Columns of a matrix [T, I] in panels of 64, whose steps are its rows: single float32, or pairs
/// of bfloat16. Every run of rows begins with a step of its own, so that which rows make a pair
/// depends on the run alone.
class RowPanels {
 public:
  /// @param x       rows `row_stride` apart
  /// @param runs    rows to pack, in this order
  /// @param memory  backing memory, used as long as this object lives; reallocated when too small
  template <typename Element>
  static RowPanels pack(const Element* x, std::int64_t row_stride, std::int64_t columns,
                        std::span<const RowRun> runs, HugePageBuffer& memory);

  std::int64_t columns() const { return columns_; }
  std::int64_t steps() const { return steps_; }
  std::int64_t num_panels() const;
  const std::uint32_t* panel(std::int64_t index) const;  ///< [steps][64]
  bool pairs() const { return pairs_; }

 private:
  std::int64_t columns_ = 0, steps_ = 0;
  bool pairs_ = false;
  const std::uint32_t* panels_ = nullptr;
};

/// The weight gradient of one linear layer, dW += dY^T X.
struct WeightGradient {
  const RowPanels* dy = nullptr;  ///< of [T, O]
  float* gradient_OI = nullptr;   ///< added to
};

/// Adds the weight gradients of layers with the same inputs. An element is summed in float32 in the
/// order of the packed steps, onto what it holds: the sum is the same however the rows are divided
/// among calls (at steps' borders) and threads.
/// @param x  of [T, I], packed from the same runs as every dy
void add_weight_gradients(std::span<const WeightGradient> layers, const RowPanels& x);

}  // namespace charm::kernels
