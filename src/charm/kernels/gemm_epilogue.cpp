#include <cstring>

#include "charm/kernels/micro_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/gemm_epilogue.cpp"
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

enum class Finish { kStore, kAdd, kGated };

template <GateFunction kGate>
HWY_INLINE Vec gate(Vec z) {
  const F32 d;
  if constexpr (kGate == GateFunction::kSilu) return silu(d, z);
  if constexpr (kGate == GateFunction::kGelu) return gelu(d, z);
  if constexpr (kGate == GateFunction::kGeluTanh) return gelu_tanh(d, z);
  if constexpr (kGate == GateFunction::kQuickGelu) return quick_gelu(d, z);
  const Vec positive = hn::Max(z, hn::Zero(d));
  return kGate == GateFunction::kRelu ? positive : hn::Mul(positive, positive);
}

/// Whole vectors of one row: `out` holds the tile's columns rounded up to a vector.
template <Finish kFinish, GateFunction kGate, typename Element>
HWY_INLINE void finish_row(const float* sums, const float* bias, Element* out,
                           std::int64_t columns) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  constexpr std::int64_t kHalf = kMicroColumns / 2;
  for (std::int64_t n = 0; n < columns; n += lanes) {
    const auto value = [&](std::int64_t at) {
      const Vec v = hn::LoadU(d, sums + at);
      return bias == nullptr ? v : hn::Add(v, hn::LoadU(d, bias + at));
    };
    if constexpr (kFinish == Finish::kStore) store(d, value(n), out + n);
    if constexpr (kFinish == Finish::kAdd) store(d, hn::Add(load(d, out + n), value(n)), out + n);
    if constexpr (kFinish == Finish::kGated)
      store(d, hn::Mul(gate<kGate>(value(n)), value(kHalf + n)), out + n);
  }
}

template <Finish kFinish, typename Element, GateFunction kGate = GateFunction::kSilu>
void finish(const EpilogueTile<Element>& tile) {
  const bool whole = tile.columns % static_cast<std::int64_t>(hn::Lanes(F32())) == 0;
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const float* sums = tile.sums + r * kMicroColumns;
    Element* out = tile.out + r * tile.row_stride;
    if (whole) {
      finish_row<kFinish, kGate>(sums, tile.bias, out, tile.columns);
      continue;
    }
    Element row[kMicroColumns] = {};  // last panel: the width is not a multiple of the vector
    const auto bytes = static_cast<std::size_t>(tile.columns) * sizeof(Element);
    std::memcpy(row, out, bytes);
    finish_row<kFinish, kGate>(sums, tile.bias, row, tile.columns);
    std::memcpy(out, row, bytes);
  }
}

template <typename Element>
Epilogues<Element> make_epilogues() {
  return {finish<Finish::kStore, Element>,
          finish<Finish::kAdd, Element>,
          {finish<Finish::kGated, Element, GateFunction::kSilu>,
           finish<Finish::kGated, Element, GateFunction::kGelu>,
           finish<Finish::kGated, Element, GateFunction::kGeluTanh>,
           finish<Finish::kGated, Element, GateFunction::kQuickGelu>,
           finish<Finish::kGated, Element, GateFunction::kRelu>,
           finish<Finish::kGated, Element, GateFunction::kReluSquared>}};
}

Epilogues<float> epilogues_f32() { return make_epilogues<float>(); }
Epilogues<BFloat16> epilogues_bf16() { return make_epilogues<BFloat16>(); }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(epilogues_f32);
HWY_EXPORT(epilogues_bf16);

template <>
Epilogues<float> epilogues<float>() {
  return HWY_DYNAMIC_DISPATCH(epilogues_f32)();
}
template <>
Epilogues<BFloat16> epilogues<BFloat16>() {
  return HWY_DYNAMIC_DISPATCH(epilogues_bf16)();
}

}  // namespace charm::kernels
#endif
