#include "charm/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/kernels/kernels.h"

namespace charm::generate {
namespace {

bool is_likelier(const TokenProbability& a, const TokenProbability& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

void penalise(std::vector<float>& logits_V, std::span<const std::int32_t> context, double penalty) {
  std::vector<bool> done(logits_V.size());
  for (const std::int32_t id : context) {
    const auto i = static_cast<std::size_t>(id);
    if (done.at(i)) continue;
    done[i] = true;
    const auto factor = static_cast<float>(penalty);
    logits_V[i] = logits_V[i] < 0 ? logits_V[i] * factor : logits_V[i] / factor;
  }
}

/// The k-th largest weight.
float kth_largest(std::vector<float> weights, std::int64_t k) {
  if (k >= std::ssize(weights)) return 0.0f;
  const auto kth = weights.begin() + (k - 1);
  std::nth_element(weights.begin(), kth, weights.end(), std::greater<>());
  return *kth;
}

/// A threshold such that the weights from it up sum to at least `wanted`; the largest weight is 1.
/// Most probability is in few tokens, so only these need to be sorted.
float top_p_threshold(const std::vector<float>& weights, double wanted) {
  for (const float least : {1e-2f, 1e-4f, 1e-6f, 1e-8f}) {
    double sum = 0.0;
    for (const float w : weights) sum += w >= least ? static_cast<double>(w) : 0.0;
    if (sum >= wanted) return least;
  }
  return 0.0f;
}

/// Top-p on sorted tokens: keeps those whose more likely ones sum to less than `wanted`.
void keep_top_p(std::vector<TokenProbability>& tokens, double wanted) {
  double above = 0.0;
  std::size_t kept = 0;
  while (kept < tokens.size() && (kept == 0 || above < wanted)) above += tokens[kept++].probability;
  tokens.resize(kept);
}

}  // namespace

std::vector<TokenProbability> Sampler::candidates(std::span<const float> logits_V,
                                                  std::span<const std::int32_t> context) const {
  std::vector<float> penalised;
  if (options_.repetition_penalty != 1.0) {
    penalised.assign(logits_V.begin(), logits_V.end());
    penalise(penalised, context, options_.repetition_penalty);
    logits_V = penalised;
  }
  if (options_.temperature == 0.0) {
    const auto best = std::max_element(logits_V.begin(), logits_V.end());
    return {{static_cast<std::int32_t>(best - logits_V.begin()), 1.0}};
  }
  std::vector<float> weights(logits_V.size());
  double total =
      kernels::softmax_weights(logits_V.data(), static_cast<std::int64_t>(logits_V.size()),
                               static_cast<float>(1.0 / options_.temperature), weights.data());
  // The largest weight is 1, so min-p needs no normalisation.
  float least = std::min(static_cast<float>(options_.min_p),
                         *std::max_element(weights.begin(), weights.end()));
  if (options_.top_k > 0) {
    const float kth = kth_largest(weights, options_.top_k);
    total = 0.0;
    for (const float w : weights) total += w >= kth ? static_cast<double>(w) : 0.0;
    least = std::max(least, kth);
  } else if (options_.top_p < 1.0) {
    least = std::max(least, top_p_threshold(weights, options_.top_p * total));
  }
  std::vector<TokenProbability> tokens;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= least && weights[i] > 0.0f)
      tokens.push_back({static_cast<std::int32_t>(i), weights[i]});
  }
  if (options_.top_p < 1.0) {
    std::sort(tokens.begin(), tokens.end(), is_likelier);
    keep_top_p(tokens, options_.top_p * total);
  }
  double kept = 0.0;
  for (const TokenProbability& t : tokens) kept += t.probability;
  for (TokenProbability& t : tokens) t.probability /= kept;
  return tokens;
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits_V,
                                                    std::span<const std::int32_t> context) const {
  std::vector<TokenProbability> tokens = candidates(logits_V, context);
  std::sort(tokens.begin(), tokens.end(), is_likelier);
  return tokens;
}

std::int32_t Sampler::next(std::span<const float> logits_V, std::span<const std::int32_t> context,
                           const SampleKey& key) const {
  const std::vector<TokenProbability> tokens = candidates(logits_V, context);
  if (tokens.size() == 1) return tokens.front().id;
  RandomStream stream(options_.seed, fmt::format("generate {} {}", key.sample, key.prompt_id),
                      static_cast<std::uint64_t>(key.position));
  double left = stream.uniform();
  for (const TokenProbability& t : tokens) {
    left -= t.probability;
    if (left < 0.0) return t.id;
  }
  return std::max_element(tokens.begin(), tokens.end(),
                          [](const auto& a, const auto& b) { return is_likelier(b, a); })
      ->id;
}

}  // namespace charm::generate
