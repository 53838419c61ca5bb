#include <algorithm>
#include <cmath>
#include <vector>

#include "charm/kernels/row_gradients.h"
#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/optimizer.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include "charm/kernels/vectors_inl.h"

#ifndef CHARM_KERNELS_OPTIMIZER_ONCE
#define CHARM_KERNELS_OPTIMIZER_ONCE
namespace charm::kernels {

/// Factors of one AdamW step.
struct AdamWFactors {
  float kept;          ///< 1 - lr weight_decay
  float beta1, rest1;  ///< rest = 1 - beta
  float beta2, rest2;
  float step_size;   ///< lr / (1 - beta1^t)
  float root_scale;  ///< 1 / sqrt(1 - beta2^t)
  float eps;
};

struct UpdateKernels {
  void (*round)(const float* from, BFloat16* to, std::int64_t count);
  void (*adamw)(float* p, const float* g, float* m, float* v, const AdamWFactors& factors,
                std::int64_t count);
};

}  // namespace charm::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;

void round_range(const float* from, BFloat16* to, std::int64_t count) {
  for_vectors(F32(), 0, count,
              [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::LoadU(d, from + i), to + i); });
}

void adamw_range(float* p, const float* g, float* m, float* v, const AdamWFactors& f,
                 std::int64_t count) {
  for_vectors(F32(), 0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto set = [&](float value) HWY_ATTR { return hn::Set(d, value); };
    const auto gradient = hn::LoadU(d, g + i);
    const auto first =
        hn::MulAdd(set(f.beta1), hn::LoadU(d, m + i), hn::Mul(set(f.rest1), gradient));
    const auto second = hn::MulAdd(set(f.beta2), hn::LoadU(d, v + i),
                                   hn::Mul(set(f.rest2), hn::Mul(gradient, gradient)));
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
    const auto denominator = hn::MulAdd(hn::Sqrt(second), set(f.root_scale), set(f.eps));
    const auto change = hn::Div(hn::Mul(set(f.step_size), first), denominator);
    hn::StoreU(hn::Sub(hn::Mul(hn::LoadU(d, p + i), set(f.kept)), change), d, p + i);
  });
}

UpdateKernels make_update_kernels() { return {round_range, adamw_range}; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

HWY_EXPORT(make_update_kernels);

const UpdateKernels& update_kernels() {
  static const UpdateKernels kKernels = HWY_DYNAMIC_DISPATCH(make_update_kernels)();
  return kKernels;
}

constexpr std::int64_t kElementsPerTask = 16384;  ///< amortises waking a worker

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

}  // namespace charm::kernels
#endif
