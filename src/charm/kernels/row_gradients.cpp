#include "charm/kernels/row_gradients.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "charm/kernels/gradient_rows.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

constexpr std::int64_t kElementsPerTask = 16384;  ///< amortises waking a worker
constexpr std::int64_t kColumnsPerTask = 32;      ///< a cache line of bfloat16

template <typename Body>
void for_rows(std::int64_t rows, std::int64_t width, const Body& body) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, width));
  parallel_for_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) body(t);
  });
}

/// body(begin, end) on ranges of elements, whose borders do not depend on the number of threads.
template <typename Body>
void for_chunks(std::int64_t count, const Body& body) {
  const std::int64_t chunks = (count + kElementsPerTask - 1) / kElementsPerTask;
  parallel_for_ranges(chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t c = first; c < last; ++c)
      body(c, c * kElementsPerTask, std::min(count, (c + 1) * kElementsPerTask));
  });
}

}  // namespace

template <typename Element>
void rms_norm_rows(const Rows<const Element>& x, const float* weight_D, float weight_offset,
                   float eps, const Rows<Element>& out, std::int64_t rows, std::int64_t heads,
                   std::int64_t width) {
  const auto& kernels = gradient_row_kernels<Element>();
  for_rows(rows, heads * width, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      kernels.norm(x.data + t * x.stride + h * width, weight_D, weight_offset, eps,
                   out.data + t * out.stride + h * width, width);
    }
  });
}

template <typename Element>
void rms_norm_backward(const NormRows<Element>& norm, const Rows<Element>& dx, bool add) {
  const auto& kernels = gradient_row_kernels<Element>();
  for_rows(norm.rows, norm.heads * norm.width, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < norm.heads; ++h) {
      const std::int64_t at = h * norm.width;
      kernels.norm_backward(norm.x.data + t * norm.x.stride + at,
                            norm.dy.data + t * norm.dy.stride + at, norm.weight, norm.weight_offset,
                            norm.eps, dx.data + t * dx.stride + at, norm.width, add);
    }
  });
}

template <typename Element>
void add_norm_weight_gradient(const NormRows<Element>& norm, float* gradient_D) {
  const auto& kernels = gradient_row_kernels<Element>();
  std::vector<float> inverse(static_cast<std::size_t>(norm.rows * norm.heads));
  for_rows(norm.rows, norm.heads * norm.width, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < norm.heads; ++h) {
      inverse[static_cast<std::size_t>(t * norm.heads + h)] = kernels.inverse_rms(
          norm.x.data + t * norm.x.stride + h * norm.width, norm.eps, norm.width);
    }
  });
  parallel_for_ranges(norm.width, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < norm.rows; ++t) {
      for (std::int64_t h = 0; h < norm.heads; ++h) {
        const std::int64_t at = h * norm.width;
        kernels.norm_weight(
            norm.x.data + t * norm.x.stride + at, norm.dy.data + t * norm.dy.stride + at,
            inverse[static_cast<std::size_t>(t * norm.heads + h)], begin, end, gradient_D);
      }
    }
  });
}

template <typename Element>
void rope_rows(const Rows<Element>& x, const float* cos_TF, const float* sin_TF, std::int64_t rows,
               std::int64_t heads, std::int64_t head_dim, std::int64_t rotary_dim, bool inverse) {
  const auto& kernels = gradient_row_kernels<Element>();
  const std::int64_t half = rotary_dim / 2;
  for_rows(rows, heads * head_dim, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      kernels.rope(x.data + t * x.stride + h * head_dim, cos_TF + t * half, sin_TF + t * half, half,
                   inverse ? -1.0f : 1.0f);
    }
  });
}

template <typename Element>
void gate_rows(const Element* gate_TF, const Element* up_TF, GateFunction function,
               Element* hidden_TF, std::int64_t rows, std::int64_t width) {
  const auto& kernels = gradient_row_kernels<Element>();
  for_rows(rows, 4 * width, [&](std::int64_t t) {
    kernels.gate(gate_TF + t * width, up_TF + t * width, function, hidden_TF + t * width, width);
  });
}

template <typename Element>
void gate_backward(const Element* gate_TF, const Element* up_TF, const Element* d_hidden_TF,
                   GateFunction function, Element* d_gate_up_T2F, std::int64_t rows,
                   std::int64_t width) {
  const auto& kernels = gradient_row_kernels<Element>();
  for_rows(rows, 4 * width, [&](std::int64_t t) {
    Element* out = d_gate_up_T2F + 2 * t * width;
    kernels.gate_backward(gate_TF + t * width, up_TF + t * width, d_hidden_TF + t * width, function,
                          out, out + width, width);
  });
}

template <typename Element>
void add_column_sums(const Rows<const Element>& dy, std::int64_t rows, std::int64_t columns,
                     float* gradient) {
  const auto& kernels = gradient_row_kernels<Element>();
  parallel_for_ranges(columns, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < rows; ++t)
      kernels.add_row(dy.data + t * dy.stride, 1.0f, begin, end, gradient);
  });
}

template <typename Element>
void add_embedding_gradient(std::span<const std::int32_t> ids_T, const Element* dx_TD,
                            std::int64_t width, float scale, std::int32_t skipped,
                            float* gradient_VD) {
  const auto& kernels = gradient_row_kernels<Element>();
  parallel_for_ranges(width, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t t = 0; t < ids_T.size(); ++t) {
      if (ids_T[t] == skipped) continue;
      kernels.add_row(dx_TD + static_cast<std::int64_t>(t) * width, scale, begin, end,
                      gradient_VD + ids_T[t] * width);
    }
  });
}

void round_elements(const float* from, BFloat16* to, std::int64_t count) {
  for_chunks(count, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    update_kernels().round(from + begin, to + begin, end - begin);
  });
}

double sum_of_squares(const float* x, std::int64_t count) {
  const std::int64_t chunks = (count + kElementsPerTask - 1) / kElementsPerTask;
  std::vector<double> sums(static_cast<std::size_t>(chunks));
  for_chunks(count, [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kLanes = 8;
    double lanes[kLanes] = {};
    for (std::int64_t i = begin; i < end; ++i) {
      const auto v = static_cast<double>(x[i]);
      lanes[(i - begin) % kLanes] += v * v;
    }
    for (const double lane : lanes) sums[static_cast<std::size_t>(chunk)] += lane;
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

void adamw_step(float* weights, const float* gradient, float* exp_avg, float* exp_avg_sq,
                std::int64_t count, const AdamWStep& step) {
  const auto t = static_cast<double>(step.step);
  const AdamWFactors factors = {
      .kept = static_cast<float>(1.0 - step.learning_rate * step.weight_decay),
      .beta1 = static_cast<float>(step.beta1),
      .rest1 = static_cast<float>(1.0 - step.beta1),
      .beta2 = static_cast<float>(step.beta2),
      .rest2 = static_cast<float>(1.0 - step.beta2),
      .step_size = static_cast<float>(step.learning_rate / (1.0 - std::pow(step.beta1, t))),
      .root_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(step.beta2, t))),
      .eps = static_cast<float>(step.eps)};
  for_chunks(count, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    update_kernels().adamw(weights + begin, gradient + begin, exp_avg + begin, exp_avg_sq + begin,
                           factors, end - begin);
  });
}

#define CHARM_ROW_GRADIENTS_FOR(Element)                                                           \
  template void rms_norm_rows<Element>(const Rows<const Element>&, const float*, float, float,     \
                                       const Rows<Element>&, std::int64_t, std::int64_t,           \
                                       std::int64_t);                                              \
  template void rms_norm_backward<Element>(const NormRows<Element>&, const Rows<Element>&, bool);  \
  template void add_norm_weight_gradient<Element>(const NormRows<Element>&, float*);               \
  template void rope_rows<Element>(const Rows<Element>&, const float*, const float*, std::int64_t, \
                                   std::int64_t, std::int64_t, std::int64_t, bool);                \
  template void gate_rows<Element>(const Element*, const Element*, GateFunction, Element*,         \
                                   std::int64_t, std::int64_t);                                    \
  template void gate_backward<Element>(const Element*, const Element*, const Element*,             \
                                       GateFunction, Element*, std::int64_t, std::int64_t);        \
  template void add_column_sums<Element>(const Rows<const Element>&, std::int64_t, std::int64_t,   \
                                         float*);                                                  \
  template void add_embedding_gradient<Element>(std::span<const std::int32_t>, const Element*,     \
                                                std::int64_t, float, std::int32_t, float*);
CHARM_ROW_GRADIENTS_FOR(float)
CHARM_ROW_GRADIENTS_FOR(BFloat16)
#undef CHARM_ROW_GRADIENTS_FOR

}  // namespace charm::kernels
