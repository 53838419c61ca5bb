#pragma once

#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"
#include "charm/kernels/attention_pack.h"
#include "charm/kernels/attention_tile.h"

// Attention of one tile, block of keys after block of keys: what attention.cpp and
// cached_attention.cpp share. Internal to this folder.
namespace charm::kernels {

/// Query rows of one tile and where their output goes. Either rows are consecutive tokens of one
/// head, or heads of one token.
template <typename Element>
struct TileRows {
  const Element* queries = nullptr;
  std::int64_t query_stride = 0;
  std::int64_t count = 0;           ///< at most kTileRows
  std::int64_t first_position = 0;  ///< of the first row in its sequence
  std::int64_t position_step = 1;   ///< 0 where rows are heads of one token
  Element* out = nullptr;
  std::int64_t out_stride = 0;
};

/// Memory of one thread and the state of its tile.
struct TileScratch {
  explicit TileScratch(const PackFormat& format);
  TileState state();

  std::vector<std::uint32_t> queries;
  std::vector<float> out, logits;
  std::vector<std::uint32_t> weights;
  std::vector<float> rows;
  SoftmaxRule rule;
  std::int64_t last_position = 0;
  bool is_first = true;  ///< no block yet
};

/// How the elements of a shape are packed.
template <typename Element>
PackFormat pack_format(std::int64_t head_dim);

/// start, attend for each block in order, finish. A row's bits depend on its query and the blocks,
/// not on the rows beside it.
template <typename Element>
class TileAttention {
 public:
  explicit TileAttention(const AttentionShape& shape);

  const PackFormat& format() const { return format_; }
  void start(const TileRows<Element>& rows, TileScratch& scratch) const;
  /// False when the block and all later ones lie behind the tile's last row.
  bool attend(const PackedBlock& block, TileScratch& scratch) const;
  void finish(const TileRows<Element>& rows, TileScratch& scratch) const;

 private:
  AttentionShape shape_;
  PackFormat format_;
  TileProduct product_ = nullptr;
  void (*softmax_)(const TileState&, const PackedBlock&, const SoftmaxRule&) = nullptr;
};

}  // namespace charm::kernels
