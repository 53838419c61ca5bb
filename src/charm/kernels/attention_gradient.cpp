#include <algorithm>
#include <tuple>

#include "charm/kernels/attention_tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/attention_gradient.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

#ifndef CHARM_KERNELS_ATTENTION_GRADIENT_ONCE
#define CHARM_KERNELS_ATTENTION_GRADIENT_ONCE
namespace charm::kernels {
using GradientKernelsOfTypes = std::tuple<GradientKernels<float>, GradientKernels<BFloat16>>;
}
#endif

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using U32 = hn::RebindToUnsigned<F32>;
using Vec = hn::Vec<F32>;

/// P and dS of keys n .. n + lanes of one row.
struct Weights {
  Vec p, ds;
};

/// One row of a tile with its constants.
class GradientRow {
 public:
  HWY_INLINE GradientRow(const GradientTile& tile, const GradientParams& params, std::int64_t row)
      : products_(tile.products + row * kBlockKeys),
        dp_(tile.weight_gradients + row * kBlockKeys),
        params_(params),
        log_sum_exp_(hn::Set(F32(), tile.log_sum_exp[row])),
        row_dot_(hn::Set(F32(), tile.row_dots[row])) {
    const std::int64_t position = params.first_position + row;
    end_ = std::clamp<std::int64_t>(position + 1 - params.first_key, 0, params.length);
    if (params.window > 0)
      begin_ =
          std::clamp<std::int64_t>(position + 1 - params.window - params.first_key, 0, kBlockKeys);
  }

  HWY_INLINE Weights at(std::int64_t n) const {
    const F32 d;
    const Vec scale = hn::Set(d, params_.scale);
    Vec s = hn::Mul(hn::LoadU(d, products_ + n), scale);
    Vec slope = scale;
    if (params_.softcap != 0.0f) {
      const Vec t = hn::Tanh(d, hn::Mul(s, hn::Set(d, 1.0f / params_.softcap)));
      s = hn::Mul(t, hn::Set(d, params_.softcap));
      slope = hn::Mul(scale, hn::NegMulAdd(t, t, hn::Set(d, 1.0f)));
    }
    Vec p = exp2_or_zero(d, hn::Sub(hn::Mul(s, hn::Set(d, kLog2E)), log_sum_exp_));
    if (begin_ > 0 || end_ < kBlockKeys) {
      const Vec index = hn::Iota(d, static_cast<float>(n));
      const auto seen = hn::And(hn::Ge(index, hn::Set(d, static_cast<float>(begin_))),
                                hn::Lt(index, hn::Set(d, static_cast<float>(end_))));
      p = hn::IfThenElseZero(seen, p);
    }
    const Vec ds = hn::Mul(hn::Mul(p, hn::Sub(hn::LoadU(d, dp_ + n), row_dot_)), slope);
    return {p, ds};
  }

 private:
  const float* products_;
  const float* dp_;
  const GradientParams& params_;
  Vec log_sum_exp_, row_dot_;
  std::int64_t begin_ = 0, end_ = 0;
};

void gradient_f32(const GradientTile& tile, const GradientParams& params) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t r = params.first_row; r < params.end_row; ++r) {
    const GradientRow row(tile, params, r);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      const Weights w = row.at(n);
      hn::StoreU(w.p, d, reinterpret_cast<float*>(tile.weights) + r * kBlockKeys + n);
      hn::StoreU(w.ds, d, reinterpret_cast<float*>(tile.logit_gradients) + r * kBlockKeys + n);
    }
  }
}

/// The bits of bfloat16 to nearest even in the upper half of each lane; the lower half is 0.
HWY_INLINE hn::Vec<U32> rounded_bits(Vec v) {
  const U32 u32;
  const auto bits = hn::BitCast(u32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u32, 1));
  return hn::And(hn::Add(bits, hn::Add(odd, hn::Set(u32, 0x7fff))), hn::Set(u32, 0xffff0000u));
}

HWY_INLINE hn::Vec<U32> pair_up(hn::Vec<U32> low, hn::Vec<U32> high) {
  return hn::Or(hn::ShiftRight<16>(low), high);
}

void gradient_bf16(const GradientTile& tile, const GradientParams& params) {
  const U32 u32;
  const hn::RebindToSigned<F32> i32;
  const hn::Rebind<std::uint16_t, F32> u16;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(u32));
  const auto store_row = [&](hn::Vec<U32> bits, std::int64_t row, std::int64_t n) {
    hn::StoreU(hn::DemoteTo(u16, hn::BitCast(i32, hn::ShiftRight<16>(bits))), u16,
               reinterpret_cast<std::uint16_t*>(tile.logit_gradient_rows) + row * kBlockKeys + n);
  };
  for (std::int64_t r = params.first_row; r < params.end_row; r += 2) {
    const bool has_second = r + 1 < params.end_row;
    const GradientRow first(tile, params, r), second(tile, params, has_second ? r + 1 : r);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      const Weights low = first.at(n);
      auto p_high = hn::Zero(u32), ds_high = hn::Zero(u32);
      if (has_second) {
        const Weights high = second.at(n);
        p_high = rounded_bits(high.p);
        ds_high = rounded_bits(high.ds);
        store_row(ds_high, r + 1, n);
      }
      const auto ds_low = rounded_bits(low.ds);
      store_row(ds_low, r, n);
      const std::int64_t at = r / 2 * kBlockKeys + n;
      hn::StoreU(pair_up(rounded_bits(low.p), p_high), u32, tile.weights + at);
      hn::StoreU(pair_up(ds_low, ds_high), u32, tile.logit_gradients + at);
    }
  }
}

template <typename Element>
float dot(const Element* a, const Element* b, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sum = hn::MulAdd(load(d, a + i), load(d, b + i), sum);
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < count; ++i) total += widened(a[i]) * widened(b[i]);
  return total;
}

GradientKernelsOfTypes make_gradient_kernels() {
  return {{gradient_f32, dot<float>}, {gradient_bf16, dot<BFloat16>}};
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(make_gradient_kernels);

template <typename Element>
GradientKernels<Element> gradient_kernels() {
  return std::get<GradientKernels<Element>>(HWY_DYNAMIC_DISPATCH(make_gradient_kernels)());
}
template GradientKernels<float> gradient_kernels<float>();
template GradientKernels<BFloat16> gradient_kernels<BFloat16>();

}  // namespace charm::kernels
#endif
