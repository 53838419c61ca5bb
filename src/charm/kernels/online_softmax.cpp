#include <algorithm>
#include <limits>

#include "charm/kernels/attention_tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/online_softmax.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using Vec = hn::Vec<F32>;

template <bool kBfloat16>
void softmax(const TileState& state, const PackedBlock& block, const SoftmaxParams& params) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  // Logits are scaled by log2(e), so that exp becomes exp2.
  const Vec scale = hn::Set(d, params.softcap == 0.0f ? params.scale * kLog2E : params.scale);
  const Vec cap = hn::Set(d, params.softcap * kLog2E);
  const Vec inverse_cap = hn::Set(d, params.softcap == 0.0f ? 0.0f : 1.0f / params.softcap);
  const Vec masked = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t r = 0; r < params.rows; ++r) {
    float* logits = state.logits + r * kBlockKeys;
    const std::int64_t position = params.first_position + r * params.position_step;
    // Keys first_key <= n < end_key of the block are not masked.
    const std::int64_t end_key =
        std::clamp<std::int64_t>(position + 1 - block.first, 0, block.length);
    const std::int64_t first_key =
        params.window == 0
            ? 0
            : std::clamp<std::int64_t>(position + 1 - params.window - block.first, 0, kBlockKeys);
    const Vec first_v = hn::Set(d, static_cast<float>(first_key));
    const Vec end_v = hn::Set(d, static_cast<float>(end_key));
    const bool whole = first_key == 0 && end_key == kBlockKeys;
    Vec row_max = hn::Set(d, state.row_max[r]);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      Vec x = hn::Mul(hn::LoadU(d, logits + n), scale);
      if (params.softcap != 0.0f) x = hn::Mul(cap, hn::Tanh(d, hn::Mul(x, inverse_cap)));
      if (!whole) {
        const Vec index = hn::Iota(d, static_cast<float>(n));
        x = hn::IfThenElse(hn::And(hn::Ge(index, first_v), hn::Lt(index, end_v)), x, masked);
      }
      hn::StoreU(x, d, logits + n);
      row_max = hn::Max(row_max, x);
    }
    const float new_max = hn::GetLane(hn::MaxOfLanes(d, row_max));
    const Vec shift = hn::Set(d, new_max);
    const float rescale =
        new_max == state.row_max[r]
            ? 1.0f
            : hn::GetLane(exp2_or_zero(d, hn::Sub(hn::Set(d, state.row_max[r]), shift)));
    Vec sum = hn::Zero(d);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      const Vec p = exp2_or_zero(d, hn::Sub(hn::LoadU(d, logits + n), shift));  // 0 for masked keys
      sum = hn::Add(sum, p);
      if constexpr (kBfloat16) {
        store(d, p, reinterpret_cast<BFloat16*>(state.weights) + r * kBlockKeys + n);
      } else {
        hn::StoreU(p, d, reinterpret_cast<float*>(state.weights) + r * kBlockKeys + n);
      }
    }
    state.row_max[r] = new_max;
    state.rescale[r] = rescale;
    state.row_sum[r] = state.row_sum[r] * rescale + hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

SoftmaxKernels make_softmax_kernels() { return {softmax<false>, softmax<true>}; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(make_softmax_kernels);

SoftmaxKernels softmax_kernels() { return HWY_DYNAMIC_DISPATCH(make_softmax_kernels)(); }

}  // namespace charm::kernels
#endif
