#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "charm/calibrate/smooth_curve.h"

namespace charm::calibrate {

struct SmoothPairsOptions {
  double temperature = 0.1;     ///< T, score units
  std::int64_t block_rows = 0;  ///< rows compared with each other; 0: all with all
  double tolerance =
      1e-14;  ///< error of a win rate; 1e-9 is enough, and cheaper, within a bootstrap
};

/// All pairs (i, j) of two policies' rows within each block; their win rate curve under row weights
/// a, b is
///     f(d) = sum_blocks (A_block / A) sum_{i,j in block} a_i b_j sigmoid((over_i + d - ref_j) / T)
///     / (A_block B_block)
/// Immutable once built; safe to use from many threads.
class SmoothPairs {
 public:
  virtual ~SmoothPairs() = default;

  /// The curve under row weights, not negative and not all 0.
  virtual std::unique_ptr<SmoothCurve> curve(std::span<const double> over_weights,
                                             std::span<const double> ref_weights) const = 0;
  /// The curve where every row weighs 1.
  std::unique_ptr<SmoothCurve> curve() const;

  std::size_t num_over() const { return num_over_; }
  std::size_t num_ref() const { return num_ref_; }

 protected:
  SmoothPairs(std::size_t num_over, std::size_t num_ref) : num_over_(num_over), num_ref_(num_ref) {}

 private:
  std::size_t num_over_;
  std::size_t num_ref_;
};

/// Chooses Fourier series (spectral_pairs.h) or, for scores that span many thousand temperatures,
/// direct summation. Blocks need `over` and `ref` of equal length; all with all does not.
std::unique_ptr<SmoothPairs> make_smooth_pairs(std::span<const double> over,
                                               std::span<const double> ref,
                                               const SmoothPairsOptions& options);

/// Rows [first, last) that are compared with each other.
struct RowBlock {
  std::size_t first = 0;
  std::size_t last = 0;
};

/// Blocks of `block_rows` rows, the last one smaller; one block of all where `block_rows` is 0.
std::vector<RowBlock> row_blocks(std::size_t num_rows, std::int64_t block_rows);

/// Direct summation of the sigmoids; pairs beyond the saturation width count as 0 or 1. The
/// reference implementation of SmoothPairs, and the faster one where most pairs are saturated.
class DirectPairs final : public SmoothPairs {
 public:
  DirectPairs(std::span<const double> over, std::span<const double> ref,
              const SmoothPairsOptions& options);

  using SmoothPairs::curve;
  std::unique_ptr<SmoothCurve> curve(std::span<const double> over_weights,
                                     std::span<const double> ref_weights) const override;

 private:
  std::vector<double> over_;
  std::vector<double> ref_;
  SmoothPairsOptions options_;
};

}  // namespace charm::calibrate
