// Varlen and padded attention plans on the CPU, compared with a naive softmax per row.
#include "charm/engine/varlen.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "charm/base/random.h"
#include "charm/engine/varlen_attention.h"

namespace charm::engine {
namespace {

constexpr AttentionHeads kHeads{.heads = 6, .key_heads = 2, .head_dim = 8};

/// Naive softmax over the keys that a row attends to, in double.
std::vector<double> naive(const at::Tensor& q_QHE, const at::Tensor& kv_N,
                          const std::vector<VarlenSequence>& sequences,
                          const AttentionConfig& config) {
  const std::int64_t H = kHeads.heads, K = kHeads.key_heads, E = kHeads.head_dim;
  const float* q = q_QHE.const_data_ptr<float>();
  const float* kv = kv_N.const_data_ptr<float>();
  const double scale = config.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(E)) : config.scale;
  std::vector<double> out(static_cast<std::size_t>(q_QHE.numel()), std::nan(""));
  for (const VarlenSequence& s : sequences) {
    std::vector<std::int64_t> keys;
    for (const auto& span : s.keys) {
      for (std::int64_t i = 0; i < span.length; ++i) keys.push_back(span.begin + i);
    }
    for (std::int64_t r = 0; r < s.query_length; ++r) {
      const std::int64_t end = std::ssize(keys) - (s.query_length - 1 - r);
      const std::int64_t begin =
          config.window == 0 ? 0 : std::max<std::int64_t>(0, end - config.window);
      for (std::int64_t h = 0; h < H; ++h) {
        const std::int64_t row = ((s.query_begin + r) * H + h) * E;
        std::vector<double> sums(static_cast<std::size_t>(E), 0.0);
        double total = 0.0;
        for (std::int64_t j = begin; j < end; ++j) {
          const float* k = kv + (keys[static_cast<std::size_t>(j)] * 2 * K + h / (H / K)) * E;
          double logit = 0.0;
          for (std::int64_t e = 0; e < E; ++e) logit += static_cast<double>(q[row + e]) * k[e];
          logit *= scale;
          if (config.softcap != 0.0) logit = config.softcap * std::tanh(logit / config.softcap);
          total += std::exp(logit);
          for (std::int64_t e = 0; e < E; ++e)
            sums[static_cast<std::size_t>(e)] += std::exp(logit) * k[K * E + e];
        }
        for (std::int64_t e = 0; e < E; ++e)
          out[static_cast<std::size_t>(row + e)] = sums[static_cast<std::size_t>(e)] / total;
      }
    }
  }
  return out;
}

void expect_equal(const at::Tensor& found, const std::vector<double>& expected,
                  const std::string& what) {
  ASSERT_EQ(found.numel(), std::ssize(expected)) << what;
  const at::Tensor values = found.contiguous();
  double worst = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(values.const_data_ptr<float>()[i] - expected[i]);
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  EXPECT_LE(worst, 1e-5) << what;
}

/// Packed prompts with responses, as pack lays them out; some sequences' keys are in
/// disjoint spans, as in a paged KV cache.
std::vector<VarlenSequence> random_sequences(RandomStream& stream, std::int64_t& tokens) {
  std::vector<VarlenSequence> sequences;
  tokens = 0;
  for (int prompt = 0; prompt < 5; ++prompt) {
    const auto length = static_cast<std::int64_t>(stream.below(30));
    const kernels::KeySpan own{tokens, length};
    if (length > 0) sequences.push_back({tokens, length, {own}});
    tokens += length;
    for (std::uint64_t response = 0; response < 1 + stream.below(4); ++response) {
      const auto count = static_cast<std::int64_t>(1 + stream.below(40));
      VarlenSequence sequence{tokens, count, {}};
      if (length > 0) sequence.keys.push_back(own);
      const auto first = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(count)));
      if (first > 0) sequence.keys.push_back({tokens, first});
      sequence.keys.push_back({tokens + first, count - first});
      sequences.push_back(sequence);
      tokens += count;
    }
  }
  return sequences;
}

at::Tensor random(at::IntArrayRef sizes, std::uint64_t seed) {
  return at::randn(sizes, at::detail::createCPUGenerator(seed), at::kFloat);
}

const AttentionConfig kConfigs[] = {{},
                                    {.scale = 0.7},
                                    {.window = 1},
                                    {.window = 9},
                                    {.window = 1000},
                                    {.scale = 0.5, .softcap = 3.0},
                                    {.window = 20, .softcap = 2.0}};

TEST(Varlen, EveryPlanMatchesNaiveAttention) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    RandomStream stream(seed, "varlen");
    std::int64_t tokens = 0;
    const std::vector<VarlenSequence> all = random_sequences(stream, tokens);
    std::vector<VarlenSequence> last;
    for (const VarlenSequence& s : all) last.push_back({std::ssize(last), 1, s.keys});
    const at::Tensor kv_N = random({tokens, 2 * kHeads.key_heads * kHeads.head_dim}, seed);
    for (const auto& sequences : {all, last}) {
      const std::int64_t rows = sequences.back().query_begin + sequences.back().query_length;
      const at::Tensor q_QHE = random({rows, kHeads.heads, kHeads.head_dim}, seed + 100);
      for (const AttentionConfig& config : kConfigs) {
        const std::vector<double> expected = naive(q_QHE, kv_N, sequences, config);
        for (const std::int64_t limit : {1, 70, 300, 1 << 20}) {
          AttentionPlan flash, padded;
          flash.varlen = plan_varlen(sequences, limit, at::kCPU);
          padded.padded = plan_padded(sequences, limit * 20, at::kCPU);
          const std::string what =
              "limit " + std::to_string(limit) + ", window " + std::to_string(config.window);
          expect_equal(attend(q_QHE, kv_N, flash, kHeads, config), expected, "flash, " + what);
          expect_equal(attend(q_QHE, kv_N, padded, kHeads, config), expected, "padded, " + what);
        }
      }
    }
  }
}

TEST(Varlen, PartsKeepTheirLimits) {
  RandomStream stream(1, "varlen");
  std::int64_t tokens = 0;
  const std::vector<VarlenSequence> sequences = random_sequences(stream, tokens);
  std::int64_t rows = 0, longest = 0;
  for (const VarlenSequence& s : sequences) longest = std::max(longest, s.num_keys());
  for (const VarlenPart& part : plan_varlen(sequences, 100, at::kCPU)) {
    EXPECT_EQ(part.query_begin, rows);
    rows += part.query_rows;
    EXPECT_LE(part.key_rows_G.numel(), std::max<std::int64_t>(100, longest));
    EXPECT_EQ(part.cu_seqlens_q_S.scalar_type(), at::kInt);
    EXPECT_EQ(part.cu_seqlens_k_S[-1].item<std::int64_t>(), part.key_rows_G.numel());
  }
  EXPECT_EQ(rows, tokens);
  std::int64_t area = 0, padded_area = 0;
  std::set<std::int64_t> seen;
  for (const VarlenSequence& s : sequences) area += s.query_length * s.num_keys();
  for (const PaddedPart& part : plan_padded(sequences, 2000, at::kCPU)) {
    const std::int64_t size = part.num_sequences * part.query_length * part.num_keys;
    EXPECT_LE(size, 2000);
    padded_area += size;
    for (std::int64_t i = 0; i < part.out_rows_N.numel(); ++i) {
      EXPECT_TRUE(seen.insert(part.out_rows_N[i].item<std::int64_t>()).second);
    }
  }
  EXPECT_EQ(std::ssize(seen), tokens);
  EXPECT_LE(padded_area, 2 * area);
}

TEST(Varlen, OnACpuThePaddedKernelIsChosen) {
  const std::vector<AttentionConfig> configs(1);
  EXPECT_EQ(choose_attention_kernel(kHeads, configs, at::kBFloat16, at::kCPU),
            AttentionKernel::kPadded);
}

}  // namespace
}  // namespace charm::engine
