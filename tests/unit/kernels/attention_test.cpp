#include "charm/kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "charm/base/random.h"
#include "tests/unit/kernels/element_values.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

using testing_support::element_of;

struct Case {
  std::int64_t heads, key_heads, head_dim, prefix, suffix, window;
  float softcap;
};

/// Tensors of one batch: tokens of other sequences, the prefix, the suffix, tokens of other
/// sequences again.
template <typename Element>
struct Batch {
  Batch(const Case& of, std::int64_t before, std::int64_t after)
      : c(of), begin(before), tokens(before + of.prefix + of.suffix + after) {
    // A sequence's values do not depend on its place in the batch.
    fill(q, c.heads, 1);
    fill(k, c.key_heads, 2);
    fill(v, c.key_heads, 3);
  }

  void fill(std::vector<Element>& to, std::int64_t heads, std::uint64_t tensor) {
    to.resize(static_cast<std::size_t>(heads * tokens * c.head_dim), element_of<Element>(3.0f));
    for (std::int64_t h = 0; h < heads; ++h) {
      RandomStream stream(11, "attention_test", tensor * 100 + static_cast<std::uint64_t>(h));
      for (std::int64_t i = 0; i < (c.prefix + c.suffix) * c.head_dim; ++i) {
        to[static_cast<std::size_t>((h * tokens + begin) * c.head_dim + i)] =
            element_of<Element>(static_cast<float>(stream.normal()));
      }
    }
  }

  HeadRows<Element> rows(const std::vector<Element>& t) const {
    return {t.data(), tokens * c.head_dim, c.head_dim};
  }

  /// Output rows of the suffix [suffix, H*E].
  std::vector<Element> attend(bool last_only) const {
    AttentionShape shape;
    shape.heads = c.heads;
    shape.key_heads = c.key_heads;
    shape.head_dim = c.head_dim;
    shape.scale = 0.3f;
    shape.window = c.window;
    shape.softcap = c.softcap;
    const std::int64_t width = c.heads * c.head_dim;
    std::vector<Element> out(static_cast<std::size_t>(tokens * width));
    const KeySpan prefix{begin, c.prefix};
    const KeySpan suffix{begin + c.prefix, c.suffix};
    AttentionSequence sequence{suffix.begin, suffix.length, 0, prefix, suffix};
    if (last_only)
      sequence = {suffix.begin + suffix.length - 1, 1, suffix.length - 1, prefix, suffix};
    HugePageBuffer memory;
    const PackedKv<Element> keys(rows(k), rows(v), {sequence}, shape, memory);
    attention(rows(q), keys, out.data(), {sequence}, shape);
    return {out.begin() + suffix.begin * width,
            out.begin() + (suffix.begin + suffix.length) * width};
  }

  std::vector<float> sequence_of(const std::vector<Element>& t, std::int64_t head) const {
    std::vector<float> values;
    for (std::int64_t i = 0; i < (c.prefix + c.suffix) * c.head_dim; ++i) {
      values.push_back(
          widened(t[static_cast<std::size_t>((head * tokens + begin) * c.head_dim + i)]));
    }
    return values;
  }

  Case c;
  std::int64_t begin, tokens;
  std::vector<Element> q, k, v;
};

template <typename Element>
void expect_reference(const Case& c, double tolerance) {
  const Batch<Element> batch(c, 5, 3);
  const std::vector<Element> out = batch.attend(/*last_only=*/false);
  double worst = 0.0;
  for (std::int64_t h = 0; h < c.heads; ++h) {
    const auto q = batch.sequence_of(batch.q, h);
    const auto k = batch.sequence_of(batch.k, h / (c.heads / c.key_heads));
    const auto v = batch.sequence_of(batch.v, h / (c.heads / c.key_heads));
    for (std::int64_t t = 0; t < c.suffix; ++t) {
      const std::int64_t position = c.prefix + t;
      const auto row = q.begin() + position * c.head_dim;
      const auto expected = reference::attention_row({row, row + c.head_dim}, k, v, position, 0.3f,
                                                     c.window, c.softcap);
      for (std::int64_t e = 0; e < c.head_dim; ++e) {
        const auto at = static_cast<std::size_t>((t * c.heads + h) * c.head_dim + e);
        worst = std::max(
            worst, std::abs(double{widened(out[at])} - expected[static_cast<std::size_t>(e)]));
      }
    }
  }
  EXPECT_LT(worst, tolerance);
}

class Attention : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Case{1, 1, 2, 0, 1, 0, 0}, Case{4, 2, 16, 0, 70, 0, 0},
                                         Case{3, 1, 64, 70, 65, 0, 0}, Case{2, 2, 80, 64, 64, 0, 0},
                                         Case{2, 1, 128, 1, 49, 0, 0},
                                         Case{2, 1, 64, 150, 200, 33, 0},
                                         Case{1, 1, 32, 10, 300, 1, 0},
                                         Case{2, 1, 256, 20, 100, 0, 2.0f},
                                         Case{2, 1, 64, 90, 130, 100, 5.0f}));

TEST_P(Attention, Float32EqualsTheReference) { expect_reference<float>(GetParam(), 5e-6); }

// Probabilities and output are rounded to bfloat16: half a unit in the last of eight places each,
// values up to about 4.
TEST_P(Attention, BFloat16EqualsTheReference) { expect_reference<BFloat16>(GetParam(), 0.03); }

TEST_P(Attention, BitsDependOnTheSequenceAlone) {
  const Batch<float> near(GetParam(), 0, 0);
  const Batch<float> far(GetParam(), 131, 77);
  EXPECT_EQ(near.attend(false), far.attend(false));
}

TEST_P(Attention, TheLastRowAloneHasTheSameBits) {
  const Batch<float> batch(GetParam(), 2, 0);
  const auto all = batch.attend(false);
  const auto last = batch.attend(true);
  const auto width = static_cast<std::ptrdiff_t>(GetParam().heads * GetParam().head_dim);
  EXPECT_EQ(std::vector<float>(all.end() - width, all.end()),
            std::vector<float>(last.end() - width, last.end()));
}

}  // namespace
}  // namespace charm::kernels
