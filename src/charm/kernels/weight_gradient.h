#pragma once

#include <cstdint>
#include <span>

#include "charm/kernels/row_panels.h"

namespace charm::kernels {

// T rows, I inputs, O outputs.

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
