#pragma once

#include "charm/kernels/gemm.h"

namespace charm::nn {

/// What the MLP's gate goes through.
using Activation = kernels::GateFunction;

}  // namespace charm::nn
