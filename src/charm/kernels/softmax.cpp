#include <algorithm>
#include <cmath>

#include "charm/kernels/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/softmax.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double softmax_weights_row(const float* logits, std::int64_t count, float scale, float* weights) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = count / lanes * lanes;
  float largest = logits[0];
  if (whole > 0) {
    auto most = hn::LoadU(d, logits);
    for (std::int64_t i = lanes; i < whole; i += lanes)
      most = hn::Max(most, hn::LoadU(d, logits + i));
    largest = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (std::int64_t i = whole; i < count; ++i) largest = std::max(largest, logits[i]);
  const auto largest_v = hn::Set(d, largest);
  const auto scale_v = hn::Set(d, scale);
  const auto lowest =
      hn::Set(d, -100.0f);  // Highway's Exp needs finite values; exp(-100) is negligible beside 1
  double total = 0.0;
  constexpr std::int64_t kRun = 64;  // vectors summed in float32 before adding to the float64 sum
  for (std::int64_t begin = 0; begin < whole; begin += kRun * lanes) {
    const std::int64_t end = std::min(whole, begin + kRun * lanes);
    auto sum = hn::Zero(d);
    for (std::int64_t i = begin; i < end; i += lanes) {
      const auto x = hn::Mul(hn::Sub(hn::LoadU(d, logits + i), largest_v), scale_v);
      const auto weight = hn::IfThenElseZero(hn::Gt(x, lowest), hn::Exp(d, hn::Max(x, lowest)));
      hn::StoreU(weight, d, weights + i);
      sum = hn::Add(sum, weight);
    }
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  for (std::int64_t i = whole; i < count; ++i) {
    const float x = (logits[i] - largest) * scale;
    weights[i] = x > -100.0f ? std::exp(x) : 0.0f;
    total += static_cast<double>(weights[i]);
  }
  return total;
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(softmax_weights_row);

double softmax_weights(const float* logits, std::int64_t count, float scale, float* weights) {
  return HWY_DYNAMIC_DISPATCH(softmax_weights_row)(logits, count, scale, weights);
}

}  // namespace charm::kernels
#endif
