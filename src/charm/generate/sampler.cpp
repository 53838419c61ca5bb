#include "charm/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/kernels/softmax.h"

namespace charm::generate {
namespace {

bool is_likelier(const TokenProbability& a, const TokenProbability& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

void penalise(std::vector<float>& logits_V, std::span<const std::int32_t> seen, double penalty) {
  std::vector<bool> done(logits_V.size());
  for (const std::int32_t id : seen) {
    const auto i = static_cast<std::size_t>(id);
    if (done.at(i)) continue;
    done[i] = true;
    const auto factor = static_cast<float>(penalty);
    logits_V[i] = logits_V[i] < 0 ? logits_V[i] * factor : logits_V[i] / factor;
  }
}

/// Tokens at least as likely as the k-th likeliest.
void keep_top_k(std::vector<TokenProbability>& tokens, std::int64_t k) {
  if (k <= 0 || k >= std::ssize(tokens)) return;
  const auto kth = tokens.begin() + (k - 1);
  std::nth_element(tokens.begin(), kth, tokens.end(), is_likelier);
  const double least = kth->probability;
  std::erase_if(tokens, [&](const TokenProbability& t) { return t.probability < least; });
}

/// The likeliest tokens up to the one with which their sum reaches the share of `total`; sorted. Only as much is sorted as is needed.
void keep_top_p(std::vector<TokenProbability>& tokens, double share, double total) {
  const double wanted = share * total;
  std::vector<TokenProbability> likely;
  double largest = 0.0;
  for (const TokenProbability& t : tokens) largest = std::max(largest, t.probability);
  for (double least = largest * 0.01;; least *= 0.001) {
    if (share >= 1.0 || least < largest * 1e-12) {
      likely = std::move(tokens);
    } else {
      likely.clear();
      double sum = 0.0;
      for (const TokenProbability& t : tokens) {
        if (t.probability < least) continue;
        likely.push_back(t);
        sum += t.probability;
      }
      if (sum < wanted) continue;
    }
    break;
  }
  std::sort(likely.begin(), likely.end(), is_likelier);
  double above = 0.0;
  std::size_t kept = 0;
  while (kept < likely.size() && (kept == 0 || above < wanted)) above += likely[kept++].probability;
  likely.resize(kept);
  tokens = std::move(likely);
}

}  // namespace

void check_sampling(const SamplingOptions& o) {
  const auto fail = [](const char* option, auto found, const char* expected) {
    throw Error(ErrorKind::kUsage, "--{} is {}, expected {}", option, found, expected);
  };
  // Written so that NaN fails too.
  if (!(o.temperature >= 0.0) || std::isinf(o.temperature)) fail("temperature", o.temperature, "0 (greedy) or a positive number");
  if (!(o.top_p > 0.0 && o.top_p <= 1.0)) fail("top-p", o.top_p, "a number above 0 and at most 1 (1: all tokens)");
  if (o.top_k < 0) fail("top-k", o.top_k, "0 (all tokens) or a positive number");
  if (!(o.min_p >= 0.0 && o.min_p <= 1.0)) fail("min-p", o.min_p, "a number between 0 and 1");
  if (!(o.repetition_penalty > 0.0) || std::isinf(o.repetition_penalty)) {
    fail("repetition-penalty", o.repetition_penalty, "a positive number (1: none)");
  }
  if (o.max_new_tokens < 1) fail("max-new-tokens", o.max_new_tokens, "at least 1");
  for (const std::string& text : o.stop) {
    if (text.empty()) throw Error(ErrorKind::kUsage, "--stop is an empty text, which would end every response at once");
  }
}

Sampler::Sampler(SamplingOptions options) : options_(std::move(options)) { check_sampling(options_); }

std::vector<TokenProbability> Sampler::candidates(std::span<const float> logits_V) const {
  if (options_.temperature == 0.0) {
    const auto best = std::max_element(logits_V.begin(), logits_V.end());
    return {{static_cast<std::int32_t>(best - logits_V.begin()), 1.0}};
  }
  std::vector<float> weights(logits_V.size());
  double total = kernels::softmax_weights(logits_V.data(), static_cast<std::int64_t>(logits_V.size()),
                                          static_cast<float>(1.0 / options_.temperature), weights.data());
  std::vector<TokenProbability> tokens;
  tokens.reserve(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0.0f) tokens.push_back({static_cast<std::int32_t>(i), weights[i]});
  }
  if (options_.top_k > 0) {
    keep_top_k(tokens, options_.top_k);
    total = 0.0;
    for (const TokenProbability& t : tokens) total += t.probability;
  }
  if (options_.top_p < 1.0) keep_top_p(tokens, options_.top_p, total);
  if (options_.min_p > 0.0) {
    // The likeliest token's weight is 1 before any normalisation.
    std::erase_if(tokens, [&](const TokenProbability& t) { return t.probability < options_.min_p; });
  }
  double kept = 0.0;
  for (const TokenProbability& t : tokens) kept += t.probability;
  for (TokenProbability& t : tokens) t.probability /= kept;
  return tokens;
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits_V, std::span<const std::int32_t> seen) const {
  std::vector<TokenProbability> tokens;
  if (options_.repetition_penalty == 1.0) {
    tokens = candidates(logits_V);
  } else {
    std::vector<float> penalised(logits_V.begin(), logits_V.end());
    penalise(penalised, seen, options_.repetition_penalty);
    tokens = candidates(penalised);
  }
  std::sort(tokens.begin(), tokens.end(), is_likelier);
  return tokens;
}

std::int32_t Sampler::next(std::span<const float> logits_V, std::span<const std::int32_t> seen, const DrawKey& key) const {
  std::vector<TokenProbability> tokens;
  if (options_.repetition_penalty == 1.0) {
    tokens = candidates(logits_V);
  } else {
    std::vector<float> penalised(logits_V.begin(), logits_V.end());
    penalise(penalised, seen, options_.repetition_penalty);
    tokens = candidates(penalised);
  }
  if (tokens.size() == 1) return tokens.front().id;
  RandomStream stream(options_.seed, fmt::format("generate {} {}", key.sample, key.prompt_id), static_cast<std::uint64_t>(key.position));
  double left = stream.uniform();
  for (const TokenProbability& t : tokens) {
    left -= t.probability;
    if (left < 0.0) return t.id;
  }
  return std::max_element(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return is_likelier(b, a); })->id;
}

}  // namespace charm::generate
