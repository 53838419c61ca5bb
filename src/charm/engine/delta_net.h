#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/block_workspace.h"
#include "charm/engine/layout.h"
#include "charm/engine/ops.h"
#include "charm/kernels/delta_net.h"

namespace charm::engine {

// T rows, D model width, C channels (queries, keys and values of all heads), L value heads of width
// U, W taps of the convolution.

/// A gated delta net (linear attention) in place of attention, without its output projection.
/// Immutable; safe for concurrent use.
struct DeltaNet {
  kernels::DeltaShape shape;
  std::int64_t taps = 0;
  float eps = 0.0F;                        ///< of the output's norm
  Linear qkv, z, b, a;                     ///< [C, D], [L*U, D], [L, D], [L, D]
  Tensor conv_WC, rate_L, bias_L, norm_U;  ///< float32
};

/// A gated delta net over the sequences of one batch, tile by tile in packed order. A response goes
/// on from the state that its prompt left behind, which is computed once. A row's bits depend on
/// its own sequence alone. Not thread-safe.
class DeltaNetPass {
 public:
  /// @param prefix  state of the layout's computed tokens, and of the prompt to cache
  DeltaNetPass(const DeltaNet& net, std::size_t layer, const BatchLayout& layout,
               BlockWorkspace& workspace, CachedPrefix& prefix);

  /// The next rows [T, D], normed -> [T, L*U], input of the output projection.
  Tensor forward(const Tensor& x_TD);

  /// After the last rows: keeps the state of the prompt to cache.
  void finish();

 private:
  /// A prompt or a response.
  struct Sequence {
    std::int64_t begin = 0;  ///< first token of the batch, computed ones included
    std::int64_t length = 0;
    std::int64_t prompt = -1;  ///< index of its prompt; -1: none
    std::int64_t waiting = 0;  ///< responses that have not begun
    bool is_cached = false;    ///< the prefix cache gets its state
    bool outlives_rows() const { return waiting > 0 || is_cached; }
    DeltaState state{};
  };
  /// Rows of a sequence in the current tile.
  struct Part {
    std::int64_t row = 0;
    std::int64_t length = 0;
    const DeltaState* before = nullptr;  ///< null: the sequence begins
    DeltaState* after = nullptr;         ///< null: unwanted
  };

  std::vector<Part> next_parts(std::int64_t rows);
  void allocate(DeltaState& state, DType dtype) const;
  /// Frees states that nothing continues from.
  void release();
  template <typename Element>
  void mix(const Tensor& x_TD, std::span<const Part> parts, Tensor& out_TV);

  const DeltaNet& net_;
  std::size_t layer_;
  const BatchLayout& layout_;
  BlockWorkspace& workspace_;
  CachedPrefix& prefix_;
  std::vector<Sequence> sequences_;  ///< in packed order
  std::size_t current_ = 0;          ///< the sequence of the next row
  std::int64_t next_token_ = 0;
  std::vector<std::size_t> done_;  ///< sequences whose state may be free after the current tile
};

}  // namespace charm::engine
