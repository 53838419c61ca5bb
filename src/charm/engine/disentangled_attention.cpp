#include "charm/engine/disentangled_attention.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "charm/kernels/gemm.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

/// Columns `head * E` .. of some rows as contiguous float32.
template <typename Element>
std::vector<float> head_columns(const Tensor& x_THE, std::int64_t begin, std::int64_t rows,
                                std::int64_t head, std::int64_t head_dim) {
  std::vector<float> values(static_cast<std::size_t>(rows * head_dim));
  const Element* x = x_THE.data<Element>() + begin * x_THE.cols() + head * head_dim;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t e = 0; e < head_dim; ++e) {
      values[static_cast<std::size_t>(row * head_dim + e)] =
          kernels::widened(x[row * x_THE.cols() + e]);
    }
  }
  return values;
}

std::vector<float> transposed(const std::vector<float>& x, std::int64_t rows, std::int64_t cols) {
  std::vector<float> result(x.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t col = 0; col < cols; ++col)
      result[static_cast<std::size_t>(col * rows + row)] =
          x[static_cast<std::size_t>(row * cols + col)];
  }
  return result;
}

/// x [M, I] times the transpose of w [O, I]: [M, O].
std::vector<float> product(const std::vector<float>& x_MI, const std::vector<float>& w_OI,
                           std::int64_t rows, std::int64_t outputs, std::int64_t inputs) {
  std::vector<float> out(static_cast<std::size_t>(rows * outputs));
  const auto weight =
      kernels::PackedWeight::pack<float>(w_OI.data(), /*bias_O=*/nullptr, outputs, inputs);
  const kernels::GemmOutput<float> to{.weight = &weight, .out = out.data(), .row_stride = outputs};
  kernels::gemm<float>(x_MI.data(), inputs, rows, std::span(&to, 1));
  return out;
}

/// The table's rows that a sequence of L tokens uses, and the row of each of its distances.
struct SequencePositions {
  std::int64_t first = 0, count = 0;
  std::vector<std::int64_t> row_of;  ///< [2L - 1], from distance -(L - 1) on, less `first`
};

SequencePositions positions_of(std::int64_t length, const RelativeAttention& config) {
  SequencePositions positions;
  positions.first = relative_row(1 - length, config);
  positions.count = relative_row(length - 1, config) - positions.first + 1;
  for (std::int64_t distance = 1 - length; distance < length; ++distance)
    positions.row_of.push_back(relative_row(distance, config) - positions.first);
  return positions;
}

/// One head of one sequence.
template <typename Element>
class HeadAttention {
 public:
  HeadAttention(std::int64_t begin, std::int64_t length, std::int64_t head, std::int64_t head_dim)
      : begin_(begin), length_(length), head_(head), head_dim_(head_dim) {}

  void run(const Tensor& q_THE, const Tensor& k_THE, const Tensor& v_THE,
           const PositionTables& tables, const SequencePositions& positions, float scale,
           Tensor& out_THE) const {
    const std::vector<float> q = columns(q_THE), k = columns(k_THE);
    std::vector<float> logits = product(q, k, length_, length_, head_dim_);
    if (tables.keys_RHE.defined()) {
      const std::vector<float> terms = position_terms(q, tables.keys_RHE, positions);
      for (std::int64_t i = 0; i < length_; ++i) {
        float* row = logits.data() + i * length_;
        const float* of_row = terms.data() + i * positions.count;
        const std::int64_t* places = positions.row_of.data() + i + length_ - 1;
        for (std::int64_t j = 0; j < length_; ++j) row[j] += of_row[places[-j]];
      }
    }
    if (tables.queries_RHE.defined())
      add_key_terms(position_terms(k, tables.queries_RHE, positions), positions, logits);
    attend(logits, v_THE, scale, out_THE);
  }

 private:
  std::vector<float> columns(const Tensor& x_THE) const {
    return head_columns<Element>(x_THE, begin_, length_, head_, head_dim_);
  }

  /// [L, the sequence's rows of the table].
  std::vector<float> position_terms(const std::vector<float>& x_LE, const Tensor& table_RHE,
                                    const SequencePositions& positions) const {
    return product(
        x_LE, head_columns<float>(table_RHE, positions.first, positions.count, head_, head_dim_),
        length_, positions.count, head_dim_);
  }

  /// logits[i, j] += terms[j, row of i - j], in columns of a cache line, so that their rows of
  /// terms are read from start to end.
  void add_key_terms(const std::vector<float>& terms, const SequencePositions& positions,
                     std::vector<float>& logits) const {
    constexpr std::int64_t kColumns = 16;
    for (std::int64_t first = 0; first < length_; first += kColumns) {
      const std::int64_t last = std::min(first + kColumns, length_);
      for (std::int64_t i = 0; i < length_; ++i) {
        const std::int64_t* places = positions.row_of.data() + i + length_ - 1;
        for (std::int64_t j = first; j < last; ++j)
          logits[static_cast<std::size_t>(i * length_ + j)] +=
              terms[static_cast<std::size_t>(j * positions.count + places[-j])];
      }
    }
  }

  void attend(std::vector<float>& logits, const Tensor& v_THE, float scale, Tensor& out_THE) const {
    std::vector<float> sums(static_cast<std::size_t>(length_));
    for (std::int64_t i = 0; i < length_; ++i) {
      float* row = logits.data() + i * length_;
      sums[static_cast<std::size_t>(i)] =
          static_cast<float>(kernels::softmax_weights(row, length_, scale, row));
    }
    const std::vector<float> out = product(logits, transposed(columns(v_THE), length_, head_dim_),
                                           length_, head_dim_, length_);
    Element* to = out_THE.mutable_data<Element>() + begin_ * out_THE.cols() + head_ * head_dim_;
    for (std::int64_t i = 0; i < length_; ++i) {
      for (std::int64_t e = 0; e < head_dim_; ++e)
        kernels::narrow_to(
            out[static_cast<std::size_t>(i * head_dim_ + e)] / sums[static_cast<std::size_t>(i)],
            to[i * out_THE.cols() + e]);
    }
  }

  std::int64_t begin_, length_, head_, head_dim_;
};

/// The number of terms of a logit counts even where there is no table.
float logit_scale(std::int64_t head_dim, const RelativeAttention& config) {
  const int terms = 1 + (config.content_to_position ? 1 : 0) + (config.position_to_content ? 1 : 0);
  return 1.0F / std::sqrt(static_cast<float>(head_dim * terms));
}

}  // namespace

std::int64_t relative_row(std::int64_t distance, const RelativeAttention& config) {
  const std::int64_t middle = config.buckets / 2, far = std::abs(distance);
  std::int64_t bucket = distance;
  if (config.buckets > 0 && far > middle) {
    // In float32, as in torch: whether a quotient is a whole number decides the bucket.
    const auto half = static_cast<float>(middle);
    const float share = std::log(static_cast<float>(far) / half) /
                        std::log(static_cast<float>(static_cast<double>(config.max_position - 1) /
                                                    static_cast<double>(middle)));
    const auto steps =
        static_cast<std::int64_t>(std::ceil(share * static_cast<float>(middle - 1)) + half);
    bucket = distance < 0 ? -steps : steps;
  }
  return std::clamp<std::int64_t>(bucket + config.span, 0, 2 * config.span - 1);
}

Tensor disentangled_attention(const Tensor& q_THE, const Tensor& k_THE, const Tensor& v_THE,
                              std::span<const std::int64_t> starts_S, std::int64_t heads,
                              const PositionTables& tables, const RelativeAttention& config) {
  Tensor out_THE = Tensor::empty(q_THE.shape(), q_THE.dtype());
  const std::int64_t head_dim = q_THE.cols() / heads;
  const float scale = logit_scale(head_dim, config);
  const std::int64_t num_sequences = std::ssize(starts_S) - 1;
  std::vector<SequencePositions> positions(static_cast<std::size_t>(num_sequences));
  for (std::size_t s = 0; config.span > 0 && s < positions.size(); ++s)
    positions[s] = positions_of(starts_S[s + 1] - starts_S[s], config);
  call_for_dtype(q_THE, [&](auto element) {
    using Element = decltype(element);
    kernels::parallel_for_dynamic(num_sequences * heads, [&] {
      return [&](std::int64_t task) {
        const auto s = static_cast<std::size_t>(task / heads);
        const HeadAttention<Element> head(starts_S[s], starts_S[s + 1] - starts_S[s], task % heads,
                                          head_dim);
        head.run(q_THE, k_THE, v_THE, tables, positions[s], scale, out_THE);
      };
    });
  });
  return out_THE;
}

}  // namespace charm::engine
