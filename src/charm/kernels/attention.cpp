#include "charm/kernels/attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "charm/kernels/attention_pack.h"
#include "charm/kernels/attention_tile.h"

namespace charm::kernels {
namespace {

/// A tile's rows before any key: finite, so that a difference of two hidden rows is no NaN.
constexpr float kNothingYet = -1e30f;

/// Up to kTileRows query rows of one head of one sequence.
struct Tile {
  std::size_t sequence;
  std::int64_t head;
  std::int64_t first_row;  ///< among the sequence's query rows
};

/// Memory of one thread.
struct Scratch {
  explicit Scratch(const PackFormat& format)
      : queries(static_cast<std::size_t>(kTileRows * format.query_steps())),
        out(static_cast<std::size_t>(kTileRows * format.padded_dim())),
        logits(static_cast<std::size_t>(kTileRows * kBlockKeys)),
        weights(logits.size()),
        rows(static_cast<std::size_t>(3 * kTileRows)) {}

  TileState state() {
    return {out.data(), logits.data(), weights.data(), rows.data(), rows.data() + kTileRows, rows.data() + 2 * kTileRows};
  }

  std::vector<std::uint32_t> queries;
  std::vector<float> out, logits;
  std::vector<std::uint32_t> weights;
  std::vector<float> rows;
};

float to_element(float v, float) { return v; }
BFloat16 to_element(float v, BFloat16) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  return {static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

template <typename Element>
class Attention {
 public:
  Attention(const HeadRows<Element>& q, const HeadRows<Element>& k, const HeadRows<Element>& v, Element* out_QHE,
            const std::vector<AttentionSequence>& sequences, const AttentionShape& shape)
      : q_(q), out_(out_QHE), sequences_(sequences), shape_(shape) {
    const TileProduct pairs = std::is_same_v<Element, BFloat16> ? bfloat16_pair_product() : nullptr;
    format_ = {pairs != nullptr, shape.head_dim};
    product_ = pairs != nullptr ? pairs : kernels_.product_f32;
    softmax_ = pairs != nullptr ? kernels_.softmax_bf16 : kernels_.softmax_f32;
    // A prompt that several sequences share is packed once.
    std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> seen;
    std::vector<KeySpan> spans;
    const auto span_of = [&](const KeySpan& span) {
      const auto [at, is_new] = seen.try_emplace({span.begin, span.length}, spans.size());
      if (is_new) spans.push_back(span);
      return at->second;
    };
    for (const AttentionSequence& sequence : sequences) {
      prompt_span_.push_back(span_of(sequence.prompt));
      own_span_.push_back(span_of(sequence.own));
    }
    keys_.emplace(k, v, shape.key_heads, format_, spans);
  }

  void run() {
    std::vector<Tile> tiles;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      for (std::int64_t head = 0; head < shape_.heads; ++head) {
        for (std::int64_t row = 0; row < sequences_[s].query_length; row += kTileRows) tiles.push_back({s, head, row});
      }
    }
    // Tiles differ much in length: threads take the next one when they are done.
    std::atomic<std::size_t> next{0};
    at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
      Scratch scratch(format_);
      for (std::size_t i = next.fetch_add(1); i < tiles.size(); i = next.fetch_add(1)) compute(tiles[i], scratch);
    });
  }

 private:
  void compute(const Tile& tile, Scratch& scratch) const {
    const AttentionSequence& sequence = sequences_[tile.sequence];
    const std::int64_t rows = std::min(kTileRows, sequence.query_length - tile.first_row);
    const std::int64_t first_query = sequence.query_begin + tile.first_row;
    pack_queries(q_.data + tile.head * q_.head_stride + first_query * q_.row_stride, q_.row_stride, rows, format_,
                 scratch.queries.data());
    TileState state = scratch.state();
    std::fill(state.largest, state.largest + kTileRows, kNothingYet);
    std::fill(state.sum, state.sum + kTileRows, 0.0f);
    std::fill(scratch.weights.begin(), scratch.weights.end(), 0u);

    SoftmaxRule rule;
    rule.rows = rows;
    rule.first_position = sequence.prompt.length + sequence.query_offset + tile.first_row;
    rule.scale = shape_.scale;
    rule.window = shape_.window;
    rule.softcap = shape_.softcap;
    bool first = true;
    const std::int64_t key_head = tile.head / (shape_.heads / shape_.key_heads);
    const auto span = [&](std::size_t index, const KeySpan& keys, std::int64_t position) {
      for (std::int64_t at = 0; at * kBlockKeys < keys.length; ++at) {
        const PackedBlock block = keys_->block(key_head, index, at, position);
        if (block.first > rule.first_position + rows - 1) return;  // behind the last row
        if (rule.window > 0 && block.first + block.length <= rule.first_position + 1 - rule.window) continue;
        attend(scratch, state, block, rule, std::exchange(first, false));
      }
    };
    span(prompt_span_[tile.sequence], sequence.prompt, 0);
    span(own_span_[tile.sequence], sequence.own, sequence.prompt.length);

    for (std::int64_t r = 0; r < rows; ++r) {
      Element* out = out_ + ((first_query + r) * shape_.heads + tile.head) * shape_.head_dim;
      const float inverse = 1.0f / state.sum[r];
      for (std::int64_t e = 0; e < shape_.head_dim; ++e) {
        out[e] = to_element(state.out[r * format_.padded_dim() + e] * inverse, Element{});
      }
    }
  }

  /// One block of keys: logits, probabilities, and the values they weigh.
  void attend(Scratch& scratch, const TileState& state, const PackedBlock& block, const SoftmaxRule& rule, bool first) const {
    const std::int64_t steps = format_.query_steps();
    product_(scratch.queries.data(), steps, block.keys, kBlockKeys, steps, state.logits, kBlockKeys, rule.rows, kBlockKeys,
             nullptr);
    softmax_(state, block, rule);
    const std::int64_t seen = std::min(block.length, rule.first_position + rule.rows - block.first);  // by the last row
    product_(state.weights, format_.block_steps(), block.values, format_.padded_dim(), format_.value_steps(seen), state.out,
             format_.padded_dim(), rule.rows, format_.padded_dim(), first ? nullptr : state.keep);
  }

  const TileKernels kernels_ = tile_kernels();
  HeadRows<Element> q_;
  Element* out_;
  const std::vector<AttentionSequence>& sequences_;
  AttentionShape shape_;
  PackFormat format_;
  TileProduct product_ = nullptr;
  void (*softmax_)(const TileState&, const PackedBlock&, const SoftmaxRule&) = nullptr;
  std::vector<std::size_t> prompt_span_, own_span_;  ///< of each sequence
  std::optional<PackedKeys<Element>> keys_;
};

}  // namespace

template <typename Element>
void attention(const HeadRows<Element>& q, const HeadRows<Element>& k, const HeadRows<Element>& v, Element* out_QHE,
               const std::vector<AttentionSequence>& sequences, const AttentionShape& shape) {
  Attention<Element>(q, k, v, out_QHE, sequences, shape).run();
}

template void attention<float>(const HeadRows<float>&, const HeadRows<float>&, const HeadRows<float>&, float*,
                               const std::vector<AttentionSequence>&, const AttentionShape&);
template void attention<BFloat16>(const HeadRows<BFloat16>&, const HeadRows<BFloat16>&, const HeadRows<BFloat16>&, BFloat16*,
                                  const std::vector<AttentionSequence>&, const AttentionShape&);

}  // namespace charm::kernels
