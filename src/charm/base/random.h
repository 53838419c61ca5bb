#pragma once

#include <cstdint>
#include <numeric>
#include <string_view>
#include <vector>

namespace charm {

/// A named, seeded stream of random numbers: the same on every machine for the same (seed, stage,
/// index). Generator: xoshiro256** (Blackman and Vigna, public domain), seeded through SplitMix64.
/// Not thread-safe: one per thread.
class RandomStream {
 public:
  using result_type = std::uint64_t;  // models UniformRandomBitGenerator

  RandomStream(std::uint64_t seed, std::string_view stage, std::uint64_t index = 0);

  std::uint64_t operator()();
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return UINT64_MAX; }

  /// Uniform in [0, 1) with 53 bits.
  double uniform();
  /// Uniform integer in [0, bound), without bias. bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Standard normal (Box-Muller; the second value is kept for the next call).
  double normal();

  /// Fisher-Yates; unlike std::shuffle the same on every standard library.
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t state_[4];
  double spare_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace charm
