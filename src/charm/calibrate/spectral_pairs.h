#pragma once

#include <complex>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "charm/calibrate/nufft.h"
#include "charm/calibrate/smooth_pairs.h"

namespace charm::calibrate {

/// Sums of sigmoids through Fourier series, in time linear in the rows: 20,000 rows are 4e8 pairs.
///
/// The sigmoid, continued with a period P wider than any difference, is the series
///     sigmoid(z / T) = 1/2 + z/P + (2/P) sum_m (pi T / sinh(pi w_m T)) sin(w_m z),    w_m = 2 pi m
///     / P,
/// whose terms decay like e^(-pi w_m T), and sum_{i,j} a_i b_j e^(i w (over_i - ref_j)) is the
/// product of one sum over the rows of each side. Those sums, at all w_m at once, are a non-uniform
/// FFT (nufft.h); both sides share one transform as its real and imaginary part. Building a
/// curve under new weights therefore costs one FFT per block, and evaluating it a sum over some
/// thousand coefficients.
class SpectralPairs final : public SmoothPairs {
 public:
  SpectralPairs(std::span<const double> over, std::span<const double> ref,
                const SmoothPairsOptions& options);

  /// False where the scores span so many temperatures that the grid would be large.
  static bool suits(std::span<const double> over, std::span<const double> ref,
                    const SmoothPairsOptions& options);

  using SmoothPairs::curve;
  std::unique_ptr<SmoothCurve> curve(std::span<const double> over_weights,
                                     std::span<const double> ref_weights) const override;

 private:
  // Period, number of terms and grid for the given scores.
  struct Layout {
    double over_center;
    double ref_center;
    double reach;   // |offset + centre difference| beyond which the win rate is 0 or 1
    double period;  // score units
    std::size_t num_frequencies;
    std::size_t grid;
  };
  static Layout layout_of(std::span<const double> over, std::span<const double> ref,
                          const SmoothPairsOptions& options);
  // Mean of the block's centred scores times the weights' sum.
  static double weighted_sum(std::span<const double> values, std::span<const double> weights,
                             RowBlock rows);

  SmoothPairsOptions options_;
  Layout layout_;
  std::vector<double> over_;  // centred
  std::vector<double> ref_;   // centred
  std::vector<RowBlock> over_blocks_;
  std::vector<RowBlock> ref_blocks_;
  Fft fft_;
  std::optional<SpreadPoints> over_points_;
  std::optional<SpreadPoints> ref_points_;
  std::vector<double> factors_;  // [m - 1] the series' factor times both sides' kernel corrections
  std::vector<std::size_t> positive_;  // [m - 1] place of frequency m in the transform
  std::vector<std::size_t> negative_;  // [m - 1] place of frequency -m
};

}  // namespace charm::calibrate
