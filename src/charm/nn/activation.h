#pragma once

namespace charm::nn {

/// What the MLP's gate goes through.
enum class Activation {
  kSilu,      ///< z / (1 + exp(-z))
  kGeluTanh,  ///< z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 z^3)))
};

}  // namespace charm::nn
