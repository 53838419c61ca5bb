#include "charm/kernels/tile_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <utility>

namespace charm::kernels {
namespace {

/// Initial row maximum: finite, so that the difference of two fully masked rows is not NaN.
constexpr float kInitialMax = -1e30f;

float to_element(float v, float) { return v; }
BFloat16 to_element(float v, BFloat16) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  return {static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

}  // namespace

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
  const SoftmaxKernels kernels = softmax_kernels();
  micro_kernel_ = format_.pairs ? micro_kernel_bf16() : micro_kernel_f32();
  softmax_ = format_.pairs ? kernels.softmax_bf16 : kernels.softmax_f32;
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
      out[e] = to_element(state.out[r * format_.padded_dim() + e] * inverse, Element{});
    }
  }
}

template PackFormat pack_format<float>(std::int64_t);
template PackFormat pack_format<BFloat16>(std::int64_t);
template class TileAttention<float>;
template class TileAttention<BFloat16>;

}  // namespace charm::kernels
