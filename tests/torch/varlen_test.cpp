// Varlen and padded attention plans on the CPU, compared with a naive softmax per row.
#include "charm/torch/varlen.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <set>

#include "charm/base/random.h"
#include "charm/torch/varlen_attention.h"

namespace charm::torch {
namespace {

constexpr AttentionHeads kHeads{.heads = 6, .key_heads = 2, .head_dim = 8};

/// Naive softmax over the keys that a row attends to, in double.
std::vector<double> naive(const at::Tensor& q_QHE, const at::Tensor& kv_N,
                          const std::vector<VarlenSequence>& sequences,
                          const engine::AttentionConfig& config) {
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

const engine::AttentionConfig kConfigs[] = {{},
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
      for (const engine::AttentionConfig& config : kConfigs) {
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

/// Gradients of sum(attention * upstream) with respect to q and to K and V.
std::vector<at::Tensor> gradients(const at::Tensor& q, const at::Tensor& kv,
                                  const at::Tensor& upstream, const AttentionPlan& plan,
                                  const engine::AttentionConfig& config) {
  const at::Tensor q_leaf = q.clone().requires_grad_(true),
                   kv_leaf = kv.clone().requires_grad_(true);
  return ::torch::autograd::grad({attend(q_leaf, kv_leaf, plan, kHeads, config)}, {q_leaf, kv_leaf},
                                 {upstream});
}

TEST(Varlen, BothKernelsHaveTheGradientOfFiniteDifferences) {
  RandomStream stream(5, "varlen");
  std::int64_t tokens = 0;
  const std::vector<VarlenSequence> sequences = random_sequences(stream, tokens);
  const at::Tensor q = random({tokens, kHeads.heads, kHeads.head_dim}, 1),
                   kv = random({tokens, 2 * kHeads.key_heads * kHeads.head_dim}, 2),
                   upstream = random({tokens, kHeads.heads * kHeads.head_dim}, 3),
                   q_step = random(q.sizes(), 4), kv_step = random(kv.sizes(), 5);
  for (const engine::AttentionConfig& config : kConfigs) {
    const auto value = [&](double step) {
      const at::Tensor moved_q = q + step * q_step, moved_kv = kv + step * kv_step;
      const std::vector<double> out = naive(moved_q, moved_kv, sequences, config);
      double sum = 0.0;
      for (std::size_t i = 0; i < out.size(); ++i)
        sum += out[i] * static_cast<double>(upstream.const_data_ptr<float>()[i]);
      return sum;
    };
    constexpr double kStep =
        1e-2;  // float32 inputs; the error of the central difference is kStep^2
    const double expected = (value(kStep) - value(-kStep)) / (2 * kStep);
    for (const AttentionKernel kernel : {AttentionKernel::kFlash, AttentionKernel::kPadded}) {
      const auto found =
          gradients(q, kv, upstream, plan_attention(sequences, kernel, kHeads, at::kCPU), config);
      const double along =
          (found[0] * q_step).sum().item<double>() + (found[1] * kv_step).sum().item<double>();
      const double scale =
          (found[0].norm() * q_step.norm() + found[1].norm() * kv_step.norm()).item<double>();
      EXPECT_NEAR(along, expected, 2e-4 * scale)
          << attention_kernel_name(kernel) << ", window " << config.window;
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
  const std::vector<engine::AttentionConfig> configs(1);
  EXPECT_EQ(choose_attention_kernel(kHeads, configs, at::kBFloat16, at::kCPU),
            AttentionKernel::kPadded);
}

// As the model's load runs it on a GPU: in inference mode, which has no gradients of its own.
TEST(Varlen, TheCheckOfTheKernelsRunsAndPasses) {
  const c10::InferenceMode guard;
  for (const engine::AttentionConfig& config : kConfigs) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
      EXPECT_TRUE(kernels_agree(kHeads, config, dtype, at::kCPU)) << config.window;
  }
}

}  // namespace
}  // namespace charm::torch
