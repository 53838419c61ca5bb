#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "charm/kernels/attention_tiles.h"
#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/tile_attention.cpp"
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

Softmax softmax_of(bool bfloat16) { return bfloat16 ? softmax<true> : softmax<false>; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

HWY_EXPORT(softmax_of);

/// Initial row maximum: finite, so that the difference of two fully masked rows is not NaN.
constexpr float kInitialMax = -1e30f;

std::int64_t blocks_of(const KeySpan& span) { return (span.length + kBlockKeys - 1) / kBlockKeys; }

/// Packs query rows, zero-padded from `rows` to kTileRows. `to` is [kTileRows][query_steps].
template <typename Element>
void pack_queries(const Element* q, std::int64_t row_stride, std::int64_t rows,
                  const PackFormat& format, std::uint32_t* to) {
  const std::int64_t steps = format.query_steps();
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(to + r * steps, q + r * row_stride,
                static_cast<std::size_t>(steps) * sizeof(std::uint32_t));
  std::fill(to + rows * steps, to + kTileRows * steps, 0u);
}

}  // namespace

template <typename Element>
PackedSpans<Element>::PackedSpans(const HeadRows<Element>& k, const HeadRows<Element>& v,
                                  std::int64_t key_heads, const PackFormat& format,
                                  const std::vector<KeySpan>& spans, HugePageBuffer& memory)
    : format_(format), spans_(spans) {
  struct Block {
    std::int64_t begin, length;
  };
  std::vector<Block> blocks;
  for (const KeySpan& span : spans_) {
    first_block_.push_back(num_blocks_);
    num_blocks_ += blocks_of(span);
    for (std::int64_t at = 0; at < span.length; at += kBlockKeys) {
      blocks.push_back({span.begin + at, std::min(kBlockKeys, span.length - at)});
    }
  }
  const auto words = static_cast<std::size_t>(key_heads * num_blocks_ * format_.block_words());
  if (memory.size() < words) memory = HugePageBuffer(words);
  std::uint32_t* const packed = memory.data();
  packed_ = packed;
  const std::int64_t dim = format_.head_dim;
  const std::int64_t columns = format_.padded_dim();
  parallel_for_ranges(key_heads * num_blocks_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t head = i / num_blocks_;
      const Block block = blocks[static_cast<std::size_t>(i % num_blocks_)];
      const auto key = [&](std::int64_t n) {
        return k.data + head * k.head_stride + (block.begin + n) * k.row_stride;
      };
      const auto value = [&](std::int64_t n) {
        return v.data + head * v.head_stride + (block.begin + n) * v.row_stride;
      };
      std::uint32_t* keys = packed + i * format_.block_words();
      std::uint32_t* values = keys + format_.query_steps() * kBlockKeys;
      if (block.length < kBlockKeys || columns != dim)
        std::fill(keys, keys + format_.block_words(), 0u);
      for (std::int64_t n = 0; n < block.length; ++n) {
        const Element* row = key(n);
        for (std::int64_t e = 0; e < format_.query_steps(); ++e)
          keys[e * kBlockKeys + n] = step_of(row, e);
      }
      const std::int64_t rows = format_.pairs ? 2 : 1;
      for (std::int64_t n = 0; n < block.length; n += rows) {
        const bool has_second = rows == 2 && n + 1 < block.length;
        pack_step(value(n), has_second ? value(n + 1) : nullptr, dim, values + n / rows * columns);
      }
    }
  });
}

template <typename Element>
PackedBlock PackedSpans<Element>::block(std::int64_t key_head, std::size_t span, std::int64_t index,
                                        std::int64_t first) const {
  const std::int64_t at = key_head * num_blocks_ + first_block_[span] + index;
  PackedBlock block;
  block.keys = packed_ + at * format_.block_words();
  block.values = block.keys + format_.query_steps() * kBlockKeys;
  block.length = std::min(kBlockKeys, spans_[span].length - index * kBlockKeys);
  block.first = first + index * kBlockKeys;
  return block;
}

TileScratch::TileScratch(const PackFormat& format)
    : queries(static_cast<std::size_t>(kTileRows * format.query_steps())),
      out(static_cast<std::size_t>(kTileRows * format.padded_dim())),
      logits(static_cast<std::size_t>(kTileRows * kBlockKeys)),
      weights(logits.size()),
      rows(static_cast<std::size_t>(3 * kTileRows)) {}

TileState TileScratch::state() {
  return {out.data(),  logits.data(),           weights.data(),
          rows.data(), rows.data() + kTileRows, rows.data() + 2 * kTileRows};
}

template <typename Element>
PackFormat pack_format(std::int64_t head_dim) {
  return {std::is_same_v<Element, BFloat16>, head_dim};
}

template <typename Element>
TileAttention<Element>::TileAttention(const AttentionShape& shape)
    : shape_(shape), format_(pack_format<Element>(shape.head_dim)) {
  micro_kernel_ = format_.pairs ? micro_kernel_bf16() : micro_kernel_f32();
  softmax_ = HWY_DYNAMIC_DISPATCH(softmax_of)(format_.pairs);
}

template <typename Element>
void TileAttention<Element>::start(const TileRows<Element>& rows, TileScratch& scratch) const {
  pack_queries(rows.queries, rows.query_stride, rows.count, format_, scratch.queries.data());
  const TileState state = scratch.state();
  std::fill(state.row_max, state.row_max + kTileRows, kInitialMax);
  std::fill(state.row_sum, state.row_sum + kTileRows, 0.0f);
  // The micro-kernel rounds the row count up: padding rows must hold finite values.
  const std::int64_t rounded = (rows.count + kMicroRows - 1) / kMicroRows * kMicroRows;
  std::fill(state.weights, state.weights + rounded * kBlockKeys, 0u);
  scratch.params = {.rows = rows.count,
                    .first_position = rows.first_position,
                    .position_step = rows.position_step,
                    .scale = shape_.scale,
                    .window = shape_.window,
                    .softcap = shape_.softcap};
  scratch.last_position = rows.first_position + (rows.count - 1) * rows.position_step;
  scratch.is_first = true;
}

template <typename Element>
bool TileAttention<Element>::attend(const PackedBlock& block, TileScratch& scratch) const {
  const SoftmaxParams& params = scratch.params;
  if (block.first > scratch.last_position) return false;
  if (params.window > 0 && block.first + block.length <= params.first_position + 1 - params.window)
    return true;
  const TileState state = scratch.state();
  const bool first = std::exchange(scratch.is_first, false);
  const std::int64_t steps = format_.query_steps();
  micro_kernel_(scratch.queries.data(), steps, block.keys, kBlockKeys, steps, state.logits,
                kBlockKeys, params.rows, kBlockKeys, nullptr);
  softmax_(state, block, params);
  const std::int64_t num_attended =
      std::min(block.length, scratch.last_position + 1 - block.first);  // attended by the last row
  micro_kernel_(state.weights, format_.block_steps(), block.values, format_.padded_dim(),
                format_.value_steps(num_attended), state.out, format_.padded_dim(), params.rows,
                format_.padded_dim(), first ? nullptr : state.rescale);
  return true;
}

template <typename Element>
void TileAttention<Element>::finish(const TileRows<Element>& rows, TileScratch& scratch) const {
  const TileState state = scratch.state();
  for (std::int64_t r = 0; r < rows.count; ++r) {
    Element* out = rows.out + r * rows.out_stride;
    const float inverse = 1.0f / state.row_sum[r];
    if (rows.log_sum_exp != nullptr)
      rows.log_sum_exp[r] = state.row_max[r] + std::log2(state.row_sum[r]);
    for (std::int64_t e = 0; e < shape_.head_dim; ++e) {
      narrow_to(state.out[r * format_.padded_dim() + e] * inverse, out[e]);
    }
  }
}

template PackFormat pack_format<float>(std::int64_t);
template PackFormat pack_format<BFloat16>(std::int64_t);
template class PackedSpans<float>;
template class PackedSpans<BFloat16>;
template class TileAttention<float>;
template class TileAttention<BFloat16>;

}  // namespace charm::kernels
#endif
