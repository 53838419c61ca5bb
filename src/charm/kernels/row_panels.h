#pragma once

#include <cstdint>
#include <span>

#include "charm/kernels/kernels.h"

// Operands of products that sum over rows, dW = dY^T X. T rows, I columns.
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

namespace internal {
/// The rows of one step; `second` is null for float32 and where a bfloat16 row has no partner.
template <typename Element>
struct RowStep {
  const Element* first = nullptr;
  const Element* second = nullptr;
};

/// Fills panels `first_panel` .. `end_panel`, each at its place in `panels`.
template <typename Element>
void pack_row_panels(std::span<const RowStep<Element>> steps, std::int64_t columns,
                     std::int64_t first_panel, std::int64_t end_panel, std::uint32_t* panels);
}  // namespace internal

}  // namespace charm::kernels
