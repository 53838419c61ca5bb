#include "charm/kernels/attention_tile.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/attention_tile.cpp"
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
void softmax(const TileState& state, const PackedBlock& block, const SoftmaxRule& rule) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  // Logits are kept in units of log 2, so that weights are powers of two.
  const Vec scale = hn::Set(d, rule.softcap == 0.0f ? rule.scale * kLog2E : rule.scale);
  const Vec cap = hn::Set(d, rule.softcap * kLog2E);
  const Vec inverse_cap = hn::Set(d, rule.softcap == 0.0f ? 0.0f : 1.0f / rule.softcap);
  const Vec hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t r = 0; r < rule.rows; ++r) {
    float* logits = state.logits + r * kBlockKeys;
    const std::int64_t position = rule.first_position + r * rule.position_step;
    // Keys first_key <= n < end_key of the block are seen.
    const std::int64_t end_key =
        std::clamp<std::int64_t>(position + 1 - block.first, 0, block.length);
    const std::int64_t first_key =
        rule.window == 0
            ? 0
            : std::clamp<std::int64_t>(position + 1 - rule.window - block.first, 0, kBlockKeys);
    const Vec first_v = hn::Set(d, static_cast<float>(first_key));
    const Vec end_v = hn::Set(d, static_cast<float>(end_key));
    const bool whole = first_key == 0 && end_key == kBlockKeys;
    Vec largest = hn::Set(d, state.largest[r]);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      Vec x = hn::Mul(hn::LoadU(d, logits + n), scale);
      if (rule.softcap != 0.0f) x = hn::Mul(cap, hn::Tanh(d, hn::Mul(x, inverse_cap)));
      if (!whole) {
        const Vec index = hn::Iota(d, static_cast<float>(n));
        x = hn::IfThenElse(hn::And(hn::Ge(index, first_v), hn::Lt(index, end_v)), x, hidden);
      }
      hn::StoreU(x, d, logits + n);
      largest = hn::Max(largest, x);
    }
    const float new_largest = hn::GetLane(hn::MaxOfLanes(d, largest));
    const Vec shift = hn::Set(d, new_largest);
    const float keep =
        new_largest == state.largest[r]
            ? 1.0f
            : hn::GetLane(exp2_or_zero(d, hn::Sub(hn::Set(d, state.largest[r]), shift)));
    Vec sum = hn::Zero(d);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      const Vec p = exp2_or_zero(d, hn::Sub(hn::LoadU(d, logits + n), shift));  // 0 for hidden keys
      sum = hn::Add(sum, p);
      if constexpr (kBfloat16) {
        store(d, p, reinterpret_cast<std::uint16_t*>(state.weights) + r * kBlockKeys + n);
      } else {
        hn::StoreU(p, d, reinterpret_cast<float*>(state.weights) + r * kBlockKeys + n);
      }
    }
    state.largest[r] = new_largest;
    state.keep[r] = keep;
    state.sum[r] = state.sum[r] * keep + hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

TileKernels make_tile_kernels() { return {softmax<false>, softmax<true>}; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(make_tile_kernels);

TileKernels tile_kernels() { return HWY_DYNAMIC_DISPATCH(make_tile_kernels)(); }

}  // namespace charm::kernels
#endif
