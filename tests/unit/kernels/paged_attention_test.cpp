#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/attention.h"
#include "tests/unit/kernels/element_values.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

using testing_support::element_of;

/// One sequence of `tokens` tokens in a paged KV cache with scattered blocks.
template <typename Element>
struct Sequence {
  Sequence(const AttentionShape& s, std::int64_t count) : shape(s), tokens(count) {
    RandomStream stream(3, "cached_attention_test");
    for (auto* t : {&q, &k, &v}) {
      t->resize(static_cast<std::size_t>((t == &q ? shape.heads : shape.key_heads) * tokens *
                                         shape.head_dim));
      for (Element& e : *t) e = element_of<Element>(static_cast<float>(stream.normal()));
    }
    const std::int64_t num_blocks = tokens / kKvBlockTokens + 1;
    cache.assign(static_cast<std::size_t>((2 * num_blocks + 1) * block_words()),
                 0x41414141u);  // another sequence's numbers
    for (std::int64_t b = 0; b < num_blocks; ++b)
      block_table.push_back(static_cast<std::int32_t>(2 * (num_blocks - b)));
  }

  std::int64_t block_words() const {
    return shape.key_heads * kv_block_head_words<Element>(shape.head_dim);
  }
  KvCacheLayer layer() { return {cache.data(), block_words()}; }
  HeadRows<Element> rows(const std::vector<Element>& t) const {
    return {t.data(), tokens * shape.head_dim, shape.head_dim};
  }

  /// Prefills and attends, `chunk` tokens at a time: [tokens, H*E].
  std::vector<Element> attend(std::int64_t chunk) {
    std::vector<Element> out(static_cast<std::size_t>(tokens * shape.heads * shape.head_dim));
    for (std::int64_t at = 0; at < tokens; at += chunk) {
      const std::vector<PagedSequence> now = {{at, std::min(chunk, tokens - at), at, block_table}};
      write_kv_cache(rows(k), rows(v), layer(), now, shape);
      paged_attention(rows(q), layer(), out.data(), now, shape);
    }
    return out;
  }

  std::vector<float> head_of(const std::vector<Element>& t, std::int64_t head) const {
    std::vector<float> values;
    for (std::int64_t i = 0; i < tokens * shape.head_dim; ++i) {
      values.push_back(widened(t[static_cast<std::size_t>(head * tokens * shape.head_dim + i)]));
    }
    return values;
  }

  AttentionShape shape;
  std::int64_t tokens;
  std::vector<Element> q, k, v;
  std::vector<std::uint32_t> cache;
  std::vector<std::int32_t> block_table;
};

template <typename Element>
void expect_reference(const AttentionShape& shape, double tolerance) {
  Sequence<Element> sequence(shape, 150);
  const std::vector<Element> out = sequence.attend(31);
  double worst = 0.0;
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    const std::int64_t key_head = h / (shape.heads / shape.key_heads);
    const auto q = sequence.head_of(sequence.q, h);
    for (std::int64_t t = 0; t < sequence.tokens; ++t) {
      const auto row = q.begin() + t * shape.head_dim;
      const auto expected = reference::attention_row(
          {row, row + shape.head_dim}, sequence.head_of(sequence.k, key_head),
          sequence.head_of(sequence.v, key_head), t, shape.scale, shape.window, shape.softcap);
      for (std::int64_t e = 0; e < shape.head_dim; ++e) {
        const float found =
            widened(out[static_cast<std::size_t>((t * shape.heads + h) * shape.head_dim + e)]);
        worst = std::max(worst, std::abs(double{found} - expected[static_cast<std::size_t>(e)]));
      }
    }
  }
  EXPECT_LT(worst, tolerance);
}

AttentionShape shape_of(std::int64_t heads, std::int64_t key_heads, std::int64_t dim,
                        std::int64_t window, float softcap) {
  return {.heads = heads,
          .key_heads = key_heads,
          .head_dim = dim,
          .scale = 0.3f,
          .window = window,
          .softcap = softcap};
}

class PagedAttention : public testing::TestWithParam<AttentionShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, PagedAttention,
                         testing::Values(shape_of(3, 1, 64, 0, 0), shape_of(4, 2, 16, 0, 0),
                                         shape_of(2, 2, 80, 33, 0), shape_of(50, 1, 8, 0, 0),
                                         shape_of(4, 1, 12, 100, 2.0f), shape_of(2, 1, 2, 1, 0)));

TEST_P(PagedAttention, Float32EqualsTheReference) { expect_reference<float>(GetParam(), 5e-6); }
TEST_P(PagedAttention, BFloat16EqualsTheReference) { expect_reference<BFloat16>(GetParam(), 0.03); }

template <typename Element>
void expect_same_bits(const AttentionShape& shape) {
  const auto bits = [](const std::vector<Element>& values) {
    std::vector<float> result;
    for (const Element e : values) result.push_back(widened(e));
    return result;
  };
  const auto whole = bits(Sequence<Element>(shape, 200).attend(200));
  for (const std::int64_t chunk : {1, 7, 64, 65})
    EXPECT_EQ(bits(Sequence<Element>(shape, 200).attend(chunk)), whole) << chunk;
}

TEST_P(PagedAttention, BitsDoNotDependOnTheChunks) {
  expect_same_bits<float>(GetParam());
  expect_same_bits<BFloat16>(GetParam());
}

}  // namespace
}  // namespace charm::kernels
