#pragma once

#include <cstdint>
#include <span>

#include "charm/kernels/kernels.h"

// Weight gradients, products that sum over rows: dW = dY^T X. T rows, I inputs or columns, O
// outputs.
namespace charm::kernels {

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
