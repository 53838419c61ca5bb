#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"
#include "charm/kernels/micro_kernel.h"

// Tiles of attention: query rows of one head against packed blocks of keys, forward
// (FlashAttention, over a batch's keys and over a KV cache) and backward. Internal to this
// folder.
namespace charm::kernels {

inline constexpr std::int64_t kTileRows = 48;
inline constexpr std::int64_t kBlockKeys = 64;

/// Packed K and V of up to kBlockKeys tokens.
struct PackedBlock {
  const std::uint32_t* keys = nullptr;    ///< [steps of E][kBlockKeys]
  const std::uint32_t* values = nullptr;  ///< [steps of kBlockKeys][padded E]
  std::int64_t length = 0;                ///< keys without padding
  std::int64_t first = 0;  ///< position of the first key, counted from the sequence's start
};

/// Layout of the micro-kernel's operands: one float32 per step, or two bfloat16.
struct PackFormat {
  bool pairs = false;
  std::int64_t head_dim = 0;
  std::int64_t query_steps() const { return pairs ? head_dim / 2 : head_dim; }
  std::int64_t value_steps(std::int64_t keys) const { return pairs ? (keys + 1) / 2 : keys; }
  std::int64_t block_steps() const { return value_steps(kBlockKeys); }
  /// Of packed K and V of a block.
  std::int64_t block_words() const {
    return query_steps() * kBlockKeys + block_steps() * padded_dim();
  }
  std::int64_t padded_dim() const {
    return (head_dim + kMicroColumns - 1) / kMicroColumns * kMicroColumns;
  }
};

/// Step `e` of a row: one float32, or two bfloat16.
inline std::uint32_t step_of(const float* row, std::int64_t e) {
  return std::bit_cast<std::uint32_t>(row[e]);
}
inline std::uint32_t step_of(const BFloat16* row, std::int64_t e) {
  return row[2 * e].bits | static_cast<std::uint32_t>(row[2 * e + 1].bits) << 16;
}

/// Packed K and V of a batch's spans in the caller's memory, in blocks that start at the span's
/// start; the last block is zero-padded.
template <typename Element>
class PackedSpans {
 public:
  PackedSpans(const HeadRows<Element>& k, const HeadRows<Element>& v, std::int64_t key_heads,
              const PackFormat& format, const std::vector<KeySpan>& spans, HugePageBuffer& memory);

  /// @param first  position of the span's first key in the attending sequence
  PackedBlock block(std::int64_t key_head, std::size_t span, std::int64_t index,
                    std::int64_t first) const;

 private:
  PackFormat format_;
  std::int64_t num_blocks_ = 0;  ///< per head
  std::vector<KeySpan> spans_;
  std::vector<std::int64_t> first_block_;  ///< of each span
  const std::uint32_t* packed_ = nullptr;  ///< [key_heads][num_blocks][keys, then values]
};

/// Accumulators of a tile's rows; all arrays are private to the calling thread.
struct TileState {
  float* out = nullptr;     ///< [kTileRows][padded E], not yet normalised
  float* logits = nullptr;  ///< [kTileRows][kBlockKeys]
  std::uint32_t* weights =
      nullptr;  ///< [kTileRows][kBlockKeys] unnormalised probabilities in the micro-kernel's layout
  float* row_max = nullptr;  ///< [kTileRows], running maximum
  float* row_sum = nullptr;  ///< [kTileRows], running sum of exponentials
  float* rescale = nullptr;  ///< [kTileRows], exp(old maximum - new maximum)
};

struct SoftmaxParams {
  std::int64_t rows = 0;
  std::int64_t first_position = 0;  ///< of the first row in its sequence
  std::int64_t position_step = 1;   ///< from row to row; 0: the rows are heads of one token
  float scale = 1.0f;
  std::int64_t window = 0;
  float softcap = 0.0f;
};

/// Logits of one block -> probabilities in float32 or bfloat16; updates row_max, row_sum and
/// rescale.
using Softmax = void (*)(const TileState& state, const PackedBlock& block,
                         const SoftmaxParams& params);

/// Query and output rows of one tile: either consecutive tokens of one head, or the query heads of
/// one token that share a key head.
template <typename Element>
struct TileRows {
  const Element* queries = nullptr;
  std::int64_t query_stride = 0;
  std::int64_t count = 0;           ///< at most kTileRows
  std::int64_t first_position = 0;  ///< of the first row in its sequence
  std::int64_t position_step = 1;   ///< 0 where rows are heads of one token
  Element* out = nullptr;
  std::int64_t out_stride = 0;
  float* log_sum_exp = nullptr;  ///< of each row, base 2; null: not wanted
};

/// One thread's scratch memory and the state of its tile.
struct TileScratch {
  explicit TileScratch(const PackFormat& format);
  TileState state();

  std::vector<std::uint32_t> queries;
  std::vector<float> out, logits;
  std::vector<std::uint32_t> weights;
  std::vector<float> rows;
  SoftmaxParams params;
  std::int64_t last_position = 0;
  bool is_first = true;  ///< before the first block
};

/// Operand layout for an element type and head width.
template <typename Element>
PackFormat pack_format(std::int64_t head_dim);

/// Call start, then attend for each block in order, then finish. A row's bits depend on its query
/// and the blocks, not on the rows beside it.
template <typename Element>
class TileAttention {
 public:
  explicit TileAttention(const AttentionShape& shape);

  const PackFormat& format() const { return format_; }
  void start(const TileRows<Element>& rows, TileScratch& scratch) const;
  /// False when the block and all later ones are masked for the whole tile.
  bool attend(const PackedBlock& block, TileScratch& scratch) const;
  void finish(const TileRows<Element>& rows, TileScratch& scratch) const;

 private:
  AttentionShape shape_;
  PackFormat format_;
  MicroKernel micro_kernel_ = nullptr;
  Softmax softmax_ = nullptr;
};

// The element-wise part of the backward pass.

inline constexpr std::int64_t kGradientRows = 60;  ///< query rows of a tile

struct GradientTile {
  // In, [rows][kBlockKeys] each.
  const float* products = nullptr;          ///< q.k, unscaled
  const float* weight_gradients = nullptr;  ///< dP = dO.v
  const float* log_sum_exp = nullptr;       ///< [rows], base 2
  const float* row_dots = nullptr;          ///< [rows], dO.O
  // Out, for the micro-kernel. float32: [rows][kBlockKeys]. bfloat16: pairs of rows,
  // [rows / 2, rounded up][kBlockKeys].
  std::uint32_t* weights = nullptr;          ///< P
  std::uint32_t* logit_gradients = nullptr;  ///< dS times the scale of q.k
  BFloat16* logit_gradient_rows = nullptr;   ///< bfloat16 only: the same as [rows][kBlockKeys]
};

struct GradientParams {
  std::int64_t first_row = 0;  ///< even; rows before it attend to no key of the block
  std::int64_t end_row = 0;
  std::int64_t first_position = 0;  ///< of row 0 in its sequence
  std::int64_t first_key = 0;       ///< position of the block's first key
  std::int64_t length = 0;          ///< keys of the block
  float scale = 1.0f;
  std::int64_t window = 0;
  float softcap = 0.0f;
};

/// Dispatched by instruction set.
template <typename Element>
struct GradientKernels {
  /// P = exp(s - log_sum_exp) and dS = P (dP - row_dots) ds/d(q.k), 0 where masked.
  void (*tile)(const GradientTile& tile, const GradientParams& params);
  /// sum_e a[e] b[e].
  float (*dot)(const Element* a, const Element* b, std::int64_t count);
};

template <typename Element>
GradientKernels<Element> gradient_kernels();

}  // namespace charm::kernels
