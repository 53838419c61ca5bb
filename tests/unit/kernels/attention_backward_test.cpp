#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "charm/kernels/attention.h"
#include "charm/kernels/thread_pool.h"
#include "tests/unit/kernels/element_values.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

using testing_support::random_elements;

struct BackwardCase {
  std::int64_t heads, key_heads, head_dim, window;
  float softcap;
  std::int64_t prompt;                  ///< 0: none
  std::vector<std::int64_t> responses;  ///< lengths
  bool last_only = false;
};

void PrintTo(const BackwardCase& c, std::ostream* out) {
  *out << c.heads << " heads of " << c.head_dim << ", prompt " << c.prompt << ", "
       << c.responses.size() << " responses, window " << c.window << ", cap " << c.softcap;
}

/// A prompt with its responses behind `before` tokens of another sequence.
template <typename Element>
class BackwardBatch {
 public:
  BackwardBatch(const BackwardCase& c, std::int64_t before) : c_(c), before_(before) {
    shape_ = {.heads = c.heads,
              .key_heads = c.key_heads,
              .head_dim = c.head_dim,
              .scale = 0.3f,
              .window = c.window,
              .softcap = c.softcap};
    const KeySpan first{0, before};
    if (before > 0 && !c.last_only) sequences_.push_back({0, before, 0, {}, first});
    if (before > 0 && c.last_only) sequences_.push_back({num_queries_++, 1, before - 1, {}, first});
    tokens_ = before;
    const KeySpan prefix{tokens_, c.prompt};
    if (c.prompt > 0 && !c.last_only) sequences_.push_back({tokens_, c.prompt, 0, {}, prefix});
    tokens_ += c.prompt;
    for (const std::int64_t length : c.responses) {
      const KeySpan suffix{tokens_, length};
      if (c.last_only) {
        sequences_.push_back({num_queries_++, 1, length - 1, prefix, suffix});
      } else {
        sequences_.push_back({tokens_, length, 0, prefix, suffix});
      }
      tokens_ += length;
    }
    if (!c.last_only) num_queries_ = tokens_;
    q_ = values(num_queries_, c.heads, 1,
                c.last_only ? num_queries_ - std::ssize(c.responses) : before);
    d_out_ = values(num_queries_, c.heads, 2,
                    c.last_only ? num_queries_ - std::ssize(c.responses) : before);
    k_ = values(tokens_, c.key_heads, 3, before);
    v_ = values(tokens_, c.key_heads, 4, before);
  }

  void run() {
    const std::int64_t width = c_.heads * c_.head_dim;
    std::vector<Element> out(static_cast<std::size_t>(num_queries_ * width));
    std::vector<float> lse(static_cast<std::size_t>(num_queries_ * c_.heads));
    const LogSumExp log_sum_exp{lse.data(), num_queries_};
    HugePageBuffer memory;
    const auto k = rows(k_, c_.key_heads), v = rows(v_, c_.key_heads), q = rows(q_, c_.heads);
    attention(q, PackedKv<Element>(k, v, sequences_, shape_, memory), out.data(), sequences_,
              shape_, log_sum_exp);
    dq_.resize(q_.size());
    dk_.resize(k_.size());
    dv_.resize(v_.size());
    const std::int64_t kv_width = c_.key_heads * c_.head_dim;
    AttentionBackwardMemory scratch;
    attention_backward<Element>({.q = q,
                                 .k = k,
                                 .v = v,
                                 .out = rows(out, c_.heads),
                                 .d_out = rows(d_out_, c_.heads),
                                 .log_sum_exp = log_sum_exp,
                                 .dq = {dq_.data(), width},
                                 .dk = {dk_.data(), kv_width},
                                 .dv = {dv_.data(), kv_width},
                                 .num_keys = tokens_},
                                sequences_, shape_, scratch);
  }

  /// The largest difference to the reference, relative to the largest gradient of each kind.
  double worst() const {
    double worst = 0.0;
    std::vector<double> dk(k_.size()), dv(v_.size()), dq(q_.size());
    for (const AttentionSequence& s : sequences_) {
      for (std::int64_t h = 0; h < c_.heads; ++h) {
        const std::int64_t kh = h / (c_.heads / c_.key_heads);
        std::vector<std::int64_t> keys;
        for (const KeySpan& span : {s.prefix, s.suffix}) {
          for (std::int64_t n = 0; n < span.length; ++n) keys.push_back(span.begin + n);
        }
        std::vector<float> k, v;
        for (const std::int64_t token : keys) {
          for (std::int64_t e = 0; e < c_.head_dim; ++e) {
            k.push_back(widened(k_[at(token, kh, c_.key_heads, e)]));
            v.push_back(widened(v_[at(token, kh, c_.key_heads, e)]));
          }
        }
        for (std::int64_t r = 0; r < s.query_length; ++r) {
          std::vector<float> q, d_out;
          for (std::int64_t e = 0; e < c_.head_dim; ++e) {
            q.push_back(widened(q_[at(s.query_begin + r, h, c_.heads, e)]));
            d_out.push_back(widened(d_out_[at(s.query_begin + r, h, c_.heads, e)]));
          }
          const auto g = reference::attention_row_backward(
              q, k, v, d_out, s.prefix.length + s.query_offset + r, 0.3f, c_.window, c_.softcap);
          for (std::int64_t e = 0; e < c_.head_dim; ++e) {
            const auto i = static_cast<std::size_t>(e);
            dq[at(s.query_begin + r, h, c_.heads, e)] += g.dq[i];
            for (std::size_t n = 0; n < keys.size(); ++n) {
              const auto of_key = n * static_cast<std::size_t>(c_.head_dim) + i;
              dk[at(keys[n], kh, c_.key_heads, e)] += g.dk_LE[of_key];
              dv[at(keys[n], kh, c_.key_heads, e)] += g.dv_LE[of_key];
            }
          }
        }
      }
    }
    const auto compare = [&](const std::vector<Element>& found,
                             const std::vector<double>& expected) {
      double largest = 0.5, difference = 0.0;  // with a window of 1 dq and dk are 0
      for (std::size_t i = 0; i < found.size(); ++i) {
        largest = std::max(largest, std::abs(expected[i]));
        difference = std::max(difference, std::abs(widened(found[i]) - expected[i]));
      }
      worst = std::max(worst, difference / largest);
    };
    compare(dq_, dq);
    compare(dk_, dk);
    compare(dv_, dv);
    return worst;
  }

  /// dk of the prompt and its responses.
  std::vector<Element> own_key_gradients() const {
    return {dk_.begin() + before_ * c_.key_heads * c_.head_dim, dk_.end()};
  }

 private:
  std::size_t at(std::int64_t row, std::int64_t head, std::int64_t heads, std::int64_t e) const {
    return static_cast<std::size_t>((row * heads + head) * c_.head_dim + e);
  }
  HeadRows<Element> rows(const std::vector<Element>& t, std::int64_t heads) const {
    return {t.data(), c_.head_dim, heads * c_.head_dim};
  }
  /// The group's values do not depend on its place in the batch.
  std::vector<Element> values(std::int64_t count, std::int64_t heads, std::uint64_t tensor,
                              std::int64_t before) const {
    auto own = random_elements<Element>((count - before) * heads * c_.head_dim, tensor);
    auto all = random_elements<Element>(before * heads * c_.head_dim, 100 + tensor);
    all.insert(all.end(), own.begin(), own.end());
    return all;
  }

  BackwardCase c_;
  std::int64_t before_, tokens_ = 0, num_queries_ = 0;
  AttentionShape shape_;
  std::vector<AttentionSequence> sequences_;
  std::vector<Element> q_, k_, v_, d_out_, dq_, dk_, dv_;
};

class AttentionBackward : public testing::TestWithParam<BackwardCase> {
 protected:
  void TearDown() override { set_num_threads(2); }
};
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionBackward,
                         testing::Values(BackwardCase{1, 1, 2, 0, 0, 0, {1}},
                                         BackwardCase{4, 2, 16, 0, 0, 0, {70}},
                                         BackwardCase{3, 1, 64, 0, 0, 70, {65, 3, 130}},
                                         BackwardCase{2, 2, 80, 0, 0, 64, {64, 61}},
                                         BackwardCase{2, 1, 64, 33, 0, 150, {200, 7}},
                                         BackwardCase{1, 1, 32, 1, 0, 10, {130}},
                                         BackwardCase{2, 1, 256, 0, 2.0f, 20, {90}},
                                         BackwardCase{2, 1, 64, 100, 5.0f, 90, {130, 1}},
                                         BackwardCase{4, 2, 64, 0, 0, 75, {63, 9, 1}, true},
                                         BackwardCase{2, 1, 32, 20, 3.0f, 75, {63, 9, 1}, true}));

TEST_P(AttentionBackward, Float32EqualsTheReference) {
  BackwardBatch<float> batch(GetParam(), 5);
  batch.run();
  EXPECT_LT(batch.worst(), 1e-5);
}

// P, dS and the results are rounded to bfloat16.
TEST_P(AttentionBackward, BFloat16EqualsTheReference) {
  BackwardBatch<BFloat16> batch(GetParam(), 5);
  batch.run();
  EXPECT_LT(batch.worst(), 0.03);
}

TEST_P(AttentionBackward, BitsDependNeitherOnThreadsNorOnTheRestOfTheBatch) {
  for (const std::int64_t threads : {1, 2, 3}) {
    set_num_threads(threads);
    BackwardBatch<BFloat16> alone(GetParam(), 0), behind(GetParam(), 71);
    alone.run();
    behind.run();
    const auto a = alone.own_key_gradients(), b = behind.own_key_gradients();
    ASSERT_EQ(a.size(), b.size());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(BFloat16)), 0) << threads;
  }
}

}  // namespace
}  // namespace charm::kernels
