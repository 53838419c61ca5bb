#pragma once

#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"
#include "charm/kernels/attention_pack.h"
#include "charm/kernels/online_softmax.h"

// FlashAttention over the key blocks of one tile, shared by attention.cpp and paged_attention.cpp.
// Internal to this folder.
namespace charm::kernels {

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
  void (*softmax_)(const TileState&, const PackedBlock&, const SoftmaxParams&) = nullptr;
};

}  // namespace charm::kernels
