#include <algorithm>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "charm/base/check.h"
#include "charm/kernels/attention.h"
#include "charm/kernels/attention_tiles.h"
#include "charm/kernels/row_gradients.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

// T packed tokens, Q query rows, E head width.

/// Sequences that share keys: a prompt with its responses, in the order of the batch.
struct Family {
  struct Span {
    std::size_t index;  ///< among the packed spans
    KeySpan keys;
  };
  std::vector<std::size_t> sequences;
  std::vector<Span> spans;  ///< every span once, prefixes first
};

/// Up to kGradientRows query rows of a family.
struct QueryTile {
  std::size_t sequence = 0;
  std::int64_t first_query = 0;  ///< query row of the batch
  std::int64_t count = 0;
  std::int64_t first_position = 0;
};

/// One thread's memory.
struct Scratch {
  std::vector<std::uint32_t> queries, d_outs;  ///< of each tile, [steps of rows][padded E]
  std::vector<float> row_dots;                 ///< of each tile, [kGradientRows]
  std::vector<float> dq;                       ///< of each tile, [kGradientRows][padded E]
  std::vector<float> dk, dv;                   ///< of a block, [kBlockKeys][padded E]
  std::vector<float> products, weight_gradients;
  std::vector<std::uint32_t> weights, logit_gradients;
  std::vector<BFloat16> logit_gradient_rows;
};

template <typename Element>
class AttentionBackward {
  static constexpr bool kPairs = !std::is_same_v<Element, float>;
  static constexpr std::int64_t kStepRows = kPairs ? 2 : 1;

 public:
  AttentionBackward(const AttentionGradients<Element>& gradients,
                    const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
                    AttentionBackwardMemory& memory)
      : g_(gradients), sequences_(sequences), shape_(shape) {
    CHARM_CHECK(!kPairs || (g_.q.row_stride % 2 == 0 && g_.d_out.row_stride % 2 == 0),
                "bfloat16 rows begin at an odd element");
    find_families();
    packed_k_.emplace(g_.k, g_.k, shape.key_heads, format_, spans_, memory.keys);
    packed_v_.emplace(g_.v, g_.v, shape.key_heads, format_, spans_, memory.values);
    dk_ = of_heads(memory.dk);
    dv_ = of_heads(memory.dv);
  }

  void run() {
    const auto count = static_cast<std::int64_t>(families_.size()) * shape_.heads;
    parallel_for_dynamic(count, [&] {
      return [this, scratch = make_scratch()](std::int64_t task) mutable {
        compute(families_[static_cast<std::size_t>(task / shape_.heads)], task % shape_.heads,
                scratch);
      };
    });
    sum_heads();
  }

 private:
  float* of_heads(HugePageBuffer& memory) const {
    const auto count = static_cast<std::size_t>(shape_.heads * g_.num_keys * shape_.head_dim);
    if (memory.size() < count) memory = HugePageBuffer(count);
    return reinterpret_cast<float*>(memory.data());
  }

  std::int64_t dim() const { return shape_.head_dim; }
  std::int64_t padded() const { return format_.padded_dim(); }
  std::int64_t tile_words() const { return kGradientRows / kStepRows * padded(); }

  Scratch make_scratch() const {
    Scratch s;
    s.dk.resize(static_cast<std::size_t>(kBlockKeys * padded()));
    s.dv.resize(s.dk.size());
    s.products.resize(static_cast<std::size_t>(kGradientRows * kBlockKeys));
    s.weight_gradients.resize(s.products.size());
    s.weights.resize(s.products.size());
    s.logit_gradients.resize(s.products.size());
    s.logit_gradient_rows.resize(s.products.size());
    return s;
  }

  void find_families() {
    std::map<std::int64_t, std::size_t> family_of;  // by the first token of the shared prompt
    std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> index_of;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      const AttentionSequence& sequence = sequences_[s];
      const std::int64_t key =
          sequence.prefix.length > 0 ? sequence.prefix.begin : sequence.suffix.begin;
      const auto [found, is_new] = family_of.try_emplace(key, families_.size());
      if (is_new) families_.emplace_back();
      Family& family = families_[found->second];
      family.sequences.push_back(s);
      for (const KeySpan& span : {sequence.prefix, sequence.suffix}) {
        if (span.length == 0) continue;
        const auto [at, added] = index_of.try_emplace({span.begin, span.length}, spans_.size());
        if (!added) continue;
        spans_.push_back(span);
        family.spans.push_back({at->second, span});
      }
    }
  }

  std::vector<QueryTile> tiles_of(const Family& family) const {
    std::vector<QueryTile> tiles;
    for (const std::size_t s : family.sequences) {
      const AttentionSequence& sequence = sequences_[s];
      for (std::int64_t row = 0; row < sequence.query_length; row += kGradientRows) {
        tiles.push_back({s, sequence.query_begin + row,
                         std::min(kGradientRows, sequence.query_length - row),
                         sequence.prefix.length + sequence.query_offset + row});
      }
    }
    return tiles;
  }

  const Element* row(const HeadRows<Element>& rows, std::int64_t head, std::int64_t at) const {
    return rows.data + head * rows.head_stride + at * rows.row_stride;
  }

  /// Rows as steps of a sum over rows.
  void pack_steps(const HeadRows<Element>& rows, std::int64_t head, const QueryTile& tile,
                  std::uint32_t* to) const {
    for (std::int64_t r = 0; r < tile.count; r += kStepRows, to += padded()) {
      const Element* low = row(rows, head, tile.first_query + r);
      pack_step(low, kPairs && r + 1 < tile.count ? low + rows.row_stride : nullptr, dim(), to);
    }
  }

  void prepare(const std::vector<QueryTile>& tiles, std::int64_t head, Scratch& scratch) const {
    const std::size_t count = tiles.size();
    const auto words = static_cast<std::size_t>(tile_words());
    scratch.queries.assign(count * words, 0u);
    scratch.d_outs.assign(count * words, 0u);
    scratch.row_dots.assign(count * static_cast<std::size_t>(kGradientRows), 0.0f);
    scratch.dq.assign(count * static_cast<std::size_t>(kGradientRows * padded()), 0.0f);
    for (std::size_t i = 0; i < count; ++i) {
      const QueryTile& tile = tiles[i];
      pack_steps(g_.q, head, tile, scratch.queries.data() + i * words);
      pack_steps(g_.d_out, head, tile, scratch.d_outs.data() + i * words);
      float* dots = scratch.row_dots.data() + i * static_cast<std::size_t>(kGradientRows);
      for (std::int64_t r = 0; r < tile.count; ++r) {
        dots[r] = kernels_.dot(row(g_.d_out, head, tile.first_query + r),
                               row(g_.out, head, tile.first_query + r), dim());
      }
    }
  }

  void compute(const Family& family, std::int64_t head, Scratch& scratch) {
    const std::vector<QueryTile> tiles = tiles_of(family);
    prepare(tiles, head, scratch);
    const std::int64_t key_head = head / (shape_.heads / shape_.key_heads);
    for (const Family::Span& span : family.spans) {
      for (std::int64_t at = 0; at * kBlockKeys < span.keys.length; ++at) {
        std::fill(scratch.dk.begin(), scratch.dk.end(), 0.0f);
        std::fill(scratch.dv.begin(), scratch.dv.end(), 0.0f);
        const PackedBlock k = packed_k_->block(key_head, span.index, at, /*first=*/0);
        const PackedBlock v = packed_v_->block(key_head, span.index, at, /*first=*/0);
        for (std::size_t i = 0; i < tiles.size(); ++i) {
          const AttentionSequence& sequence = sequences_[tiles[i].sequence];
          const bool is_prefix =
              sequence.prefix.length > 0 && sequence.prefix.begin == span.keys.begin;
          if (!is_prefix && sequence.suffix.begin != span.keys.begin) continue;
          const std::int64_t base = is_prefix ? 0 : sequence.prefix.length;
          add_block(tiles[i], i, head, base + k.first, k, v, scratch);
        }
        store_block(head, span.keys.begin + at * kBlockKeys, k.length, scratch);
      }
    }
    for (std::size_t i = 0; i < tiles.size(); ++i) store_queries(tiles[i], i, head, scratch);
  }

  /// One block of keys, the first at position `first_key`, for one tile.
  void add_block(const QueryTile& tile, std::size_t index, std::int64_t head,
                 std::int64_t first_key, const PackedBlock& k, const PackedBlock& v,
                 Scratch& scratch) const {
    const std::int64_t last_position = tile.first_position + tile.count - 1;
    if (first_key > last_position) return;
    if (shape_.window > 0 && first_key + k.length <= tile.first_position + 1 - shape_.window)
      return;
    const std::int64_t first_row =
        std::max<std::int64_t>(0, first_key - tile.first_position) / kStepRows * kStepRows;
    const std::int64_t rows = tile.count - first_row;
    const std::int64_t keys = std::min(k.length, last_position + 1 - first_key);
    const std::int64_t steps = format_.query_steps();
    const auto product = [&](const HeadRows<Element>& of, const PackedBlock& block, float* to) {
      multiply_rows_(
          reinterpret_cast<const std::uint32_t*>(row(of, head, tile.first_query + first_row)),
          of.row_stride / kStepRows, block.keys, kBlockKeys, steps, to + first_row * kBlockKeys,
          kBlockKeys, rows, kBlockKeys, nullptr);
    };
    product(g_.q, k, scratch.products.data());
    product(g_.d_out, v, scratch.weight_gradients.data());

    GradientTile gradient;
    gradient.products = scratch.products.data();
    gradient.weight_gradients = scratch.weight_gradients.data();
    gradient.log_sum_exp =
        g_.log_sum_exp.data + head * g_.log_sum_exp.head_stride + tile.first_query;
    gradient.row_dots = scratch.row_dots.data() + index * static_cast<std::size_t>(kGradientRows);
    gradient.weights = scratch.weights.data();
    gradient.logit_gradients = scratch.logit_gradients.data();
    gradient.logit_gradient_rows = scratch.logit_gradient_rows.data();
    kernels_.tile(gradient, {.first_row = first_row,
                             .end_row = tile.count,
                             .first_position = tile.first_position,
                             .first_key = first_key,
                             .length = k.length,
                             .scale = shape_.scale,
                             .window = shape_.window,
                             .softcap = shape_.softcap});

    const std::int64_t first_step = first_row / kStepRows;
    const std::int64_t row_steps = (tile.count + kStepRows - 1) / kStepRows - first_step;
    const auto words = static_cast<std::size_t>(tile_words());
    const auto add_keys = [&](const std::vector<std::uint32_t>& a,
                              const std::vector<std::uint32_t>& b, std::vector<float>& to) {
      multiply_steps_(a.data() + first_step * kBlockKeys, kBlockKeys,
                      b.data() + index * words + first_step * padded(), padded(), row_steps,
                      to.data(), padded(), keys, padded(), beta_one_.data());
    };
    add_keys(scratch.weights, scratch.d_outs, scratch.dv);
    add_keys(scratch.logit_gradients, scratch.queries, scratch.dk);
    const auto* d_logits =
        kPairs ? reinterpret_cast<const std::uint32_t*>(scratch.logit_gradient_rows.data())
               : scratch.logit_gradients.data();
    constexpr std::int64_t kStride = kBlockKeys / kStepRows;
    multiply_rows_(d_logits + first_row * kStride, kStride, k.values, padded(),
                   format_.value_steps(keys),
                   scratch.dq.data() +
                       (static_cast<std::int64_t>(index) * kGradientRows + first_row) * padded(),
                   padded(), rows, padded(), beta_one_.data());
  }

  void store_block(std::int64_t head, std::int64_t first_token, std::int64_t length,
                   const Scratch& scratch) {
    for (std::int64_t n = 0; n < length; ++n) {
      const std::int64_t to = (head * g_.num_keys + first_token + n) * dim();
      std::copy_n(scratch.dk.data() + n * padded(), dim(), dk_ + to);
      std::copy_n(scratch.dv.data() + n * padded(), dim(), dv_ + to);
    }
  }

  void store_queries(const QueryTile& tile, std::size_t index, std::int64_t head,
                     const Scratch& scratch) const {
    for (std::int64_t r = 0; r < tile.count; ++r) {
      const float* from =
          scratch.dq.data() + (static_cast<std::int64_t>(index) * kGradientRows + r) * padded();
      Element* to = g_.dq.data + (tile.first_query + r) * g_.dq.row_stride + head * dim();
      store(from, to);
    }
  }

  void store(const float* from, float* to) const { std::copy_n(from, dim(), to); }
  void store(const float* from, BFloat16* to) const { round_elements(from, to, dim()); }

  /// Key and value gradients, summed over the query heads of each key head.
  void sum_heads() const {
    constexpr std::int64_t kMinRows = 16;
    const std::int64_t group = shape_.heads / shape_.key_heads;
    const auto sum = [&](const float* of, const GradientRows<Element>& to, std::int64_t token,
                         std::vector<float>& total) {
      for (std::int64_t key_head = 0; key_head < shape_.key_heads; ++key_head) {
        std::fill(total.begin(), total.end(), 0.0f);
        for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
          const float* part = of + (h * g_.num_keys + token) * dim();
          for (std::int64_t e = 0; e < dim(); ++e) total[static_cast<std::size_t>(e)] += part[e];
        }
        store(total.data(), to.data + token * to.row_stride + key_head * dim());
      }
    };
    parallel_for_ranges(g_.num_keys, kMinRows, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> total(static_cast<std::size_t>(dim()));
      for (std::int64_t token = begin; token < end; ++token) {
        sum(dk_, g_.dk, token, total);
        sum(dv_, g_.dv, token, total);
      }
    });
  }

  const AttentionGradients<Element>& g_;
  const std::vector<AttentionSequence>& sequences_;
  AttentionShape shape_;
  PackFormat format_ = pack_format<Element>(shape_.head_dim);
  GradientKernels<Element> kernels_ = gradient_kernels<Element>();
  MicroKernel multiply_rows_ = kPairs ? micro_kernel_bf16() : micro_kernel_f32();
  MicroKernel multiply_steps_ =
      kPairs ? micro_kernel_bf16(Operand::kSteps) : micro_kernel_f32(Operand::kSteps);
  std::vector<float> beta_one_ = std::vector<float>(static_cast<std::size_t>(kBlockKeys), 1.0f);
  std::vector<Family> families_;
  std::vector<KeySpan> spans_;
  std::optional<PackedSpans<Element>> packed_k_, packed_v_;
  float *dk_ = nullptr, *dv_ = nullptr;  ///< [H, num_keys, E]
};

}  // namespace

template <typename Element>
void attention_backward(const AttentionGradients<Element>& gradients,
                        const std::vector<AttentionSequence>& sequences,
                        const AttentionShape& shape, AttentionBackwardMemory& memory) {
  AttentionBackward<Element>(gradients, sequences, shape, memory).run();
}

template void attention_backward<float>(const AttentionGradients<float>&,
                                        const std::vector<AttentionSequence>&,
                                        const AttentionShape&, AttentionBackwardMemory&);
template void attention_backward<BFloat16>(const AttentionGradients<BFloat16>&,
                                           const std::vector<AttentionSequence>&,
                                           const AttentionShape&, AttentionBackwardMemory&);

}  // namespace charm::kernels
