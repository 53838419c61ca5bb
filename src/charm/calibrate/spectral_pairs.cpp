#include "charm/calibrate/spectral_pairs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace charm::calibrate {
namespace {

constexpr double kPi = std::numbers::pi;
// Scores that need a longer grid than this are summed directly.
constexpr std::size_t kMaxGrid = std::size_t{1} << 17;
// Beyond this many temperatures outside the scores' range every sigmoid is 0 or 1 to 1e-13.
constexpr double kSaturation = 30.0;
// Margin between the largest difference and half a period: the error of the periodic continuation
// is e^-40.
constexpr double kMargin = kSaturation + 40.0;

class SpectralCurve final : public SmoothCurve {
 public:
  SpectralCurve(std::vector<std::complex<double>> terms, double period, double mean_difference,
                double center_difference, double reach)
      : terms_(std::move(terms)),
        frequency_(2.0 * kPi / period),
        period_(period),
        mean_difference_(mean_difference),
        center_difference_(center_difference),
        reach_(reach) {}

  CurvePoint at(double offset) const override {
    const double d = offset + center_difference_;
    if (d > reach_) return {.win_rate = 1.0, .slope = 0.0};
    if (d < -reach_) return {.win_rate = 0.0, .slope = 0.0};
    const double angle = frequency_ * d;
    const double step_re = std::cos(angle);
    const double step_im = std::sin(angle);
    double value = 0.0;
    double slope = 0.0;
    // e^(i w_m d) by repeated rotation, restarted every 64 terms so that rounding errors do not
    // accumulate.
    for (std::size_t first = 0; first < terms_.size(); first += 64) {
      const std::size_t last = std::min(terms_.size(), first + 64);
      double re = std::cos(angle * static_cast<double>(first + 1));
      double im = std::sin(angle * static_cast<double>(first + 1));
      for (std::size_t k = first; k < last; ++k) {
        value += terms_[k].real() * im + terms_[k].imag() * re;
        slope += (terms_[k].real() * re - terms_[k].imag() * im) * static_cast<double>(k + 1);
        const double next = re * step_re - im * step_im;
        im = re * step_im + im * step_re;
        re = next;
      }
    }
    return {.win_rate = std::clamp(0.5 + (mean_difference_ + d) / period_ + value, 0.0, 1.0),
            .slope = std::max(0.0, 1.0 / period_ + frequency_ * slope)};
  }

 private:
  std::vector<std::complex<double>> terms_;  // [m - 1]
  double frequency_;
  double period_;
  double mean_difference_;
  double center_difference_;
  double reach_;
};

std::vector<double> shifted(std::span<const double> values, double center) {
  std::vector<double> result(values.begin(), values.end());
  for (double& value : result) value -= center;
  return result;
}

SpreadPoints on_grid(std::span<const double> centred, double period, std::size_t grid,
                     const SpreadKernel& kernel) {
  // The centre of the scores maps to the middle of the grid: kernels stay inside, nothing wraps.
  std::vector<double> places(centred.begin(), centred.end());
  for (double& place : places) place = (place / period + 0.5) * static_cast<double>(grid);
  return {places, kernel};
}

double sum_of(std::span<const double> weights, RowBlock rows) {
  const auto part = weights.subspan(rows.first, rows.last - rows.first);
  return std::accumulate(part.begin(), part.end(), 0.0);
}

}  // namespace

SpectralPairs::Layout SpectralPairs::layout_of(std::span<const double> over,
                                               std::span<const double> ref,
                                               const SmoothPairsOptions& options) {
  const auto [over_lo, over_hi] = std::minmax_element(over.begin(), over.end());
  const auto [ref_lo, ref_hi] = std::minmax_element(ref.begin(), ref.end());
  const double ranges = (*over_hi - *over_lo) + (*ref_hi - *ref_lo);
  const double temperature = options.temperature;
  Layout layout;
  layout.over_center = 0.5 * (*over_lo + *over_hi);
  layout.ref_center = 0.5 * (*ref_lo + *ref_hi);
  layout.reach = 0.5 * ranges + kSaturation * temperature;
  layout.period = 2.0 * (ranges + kMargin * temperature);
  // The truncated terms add up to (2 / pi) e^(-pi w_M T).
  const double needed =
      std::log(0.64 / options.tolerance) * layout.period / (2.0 * kPi * kPi * temperature);
  // Clamped before the conversion: a range of 1e30 temperatures must not overflow.
  const double bounded = std::min(std::ceil(needed), static_cast<double>(kMaxGrid));
  layout.num_frequencies = static_cast<std::size_t>(bounded);
  layout.grid = std::bit_ceil(2 * (2 * layout.num_frequencies + 1));
  return layout;
}

bool SpectralPairs::suits(std::span<const double> over, std::span<const double> ref,
                          const SmoothPairsOptions& options) {
  return layout_of(over, ref, options).grid <= kMaxGrid;
}

SpectralPairs::SpectralPairs(std::span<const double> over, std::span<const double> ref,
                             const SmoothPairsOptions& options)
    : SmoothPairs(over.size(), ref.size()),
      options_(options),
      layout_(layout_of(over, ref, options)),
      over_(shifted(over, layout_.over_center)),
      ref_(shifted(ref, layout_.ref_center)),
      over_blocks_(row_blocks(over.size(), options.block_rows)),
      ref_blocks_(row_blocks(ref.size(), options.block_rows)),
      fft_(layout_.grid) {
  const SpreadKernel kernel = SpreadKernel::for_tolerance(options.tolerance);
  over_points_ = on_grid(over_, layout_.period, layout_.grid, kernel);
  ref_points_ = on_grid(ref_, layout_.period, layout_.grid, kernel);
  const auto corrections = kernel.corrections(layout_.grid, layout_.num_frequencies);
  for (std::size_t m = 1; m <= layout_.num_frequencies; ++m) {
    const double argument =
        2.0 * kPi * kPi * static_cast<double>(m) * options.temperature / layout_.period;
    const double series = 2.0 * kPi * options.temperature / (layout_.period * std::sinh(argument));
    factors_.push_back(series * corrections[m] * corrections[m]);
    positive_.push_back(fft_.position(m));
    negative_.push_back(fft_.position(layout_.grid - m));
  }
}

double SpectralPairs::weighted_sum(std::span<const double> values, std::span<const double> weights,
                                   RowBlock rows) {
  double sum = 0.0;
  for (std::size_t row = rows.first; row < rows.last; ++row) sum += weights[row] * values[row];
  return sum;
}

std::unique_ptr<SmoothCurve> SpectralPairs::curve(std::span<const double> over_weights,
                                                  std::span<const double> ref_weights) const {
  const double all = sum_of(over_weights, {.first = 0, .last = over_.size()});
  std::vector<std::complex<double>> terms(layout_.num_frequencies);
  std::vector<std::complex<double>> grid(layout_.grid);
  double mean_difference = 0.0;
  for (std::size_t b = 0; b < over_blocks_.size(); ++b) {
    const double over_total = sum_of(over_weights, over_blocks_[b]);
    const double ref_total = sum_of(ref_weights, ref_blocks_[b]);
    if (over_total == 0.0) continue;
    const double share = over_total / all;
    mean_difference += share * (weighted_sum(over_, over_weights, over_blocks_[b]) / over_total -
                                weighted_sum(ref_, ref_weights, ref_blocks_[b]) / ref_total);

    std::fill(grid.begin(), grid.end(), std::complex<double>{});
    over_points_->add_real(over_weights, over_blocks_[b], grid);
    ref_points_->add_imaginary(ref_weights, ref_blocks_[b], grid);
    fft_.transform(grid);
    // With G the transform of x + i y: X_m = (G_m + conj G_-m) / 2 and Y_m = (G_m - conj G_-m) /
    // 2i. Wanted: conj(X_m) Y_m.
    const double scale = share / (over_total * ref_total);
    for (std::size_t k = 0; k < terms.size(); ++k) {
      const std::complex<double> plus = grid[positive_[k]];
      const std::complex<double> minus = grid[negative_[k]];
      const double x_re = 0.5 * (plus.real() + minus.real());
      const double x_im = 0.5 * (plus.imag() - minus.imag());
      const double y_re = 0.5 * (plus.imag() + minus.imag());
      const double y_im = 0.5 * (minus.real() - plus.real());
      terms[k] += std::complex<double>{scale * (x_re * y_re + x_im * y_im),
                                       scale * (x_re * y_im - x_im * y_re)};
    }
  }
  for (std::size_t k = 0; k < terms.size(); ++k) terms[k] *= factors_[k];
  return std::make_unique<SpectralCurve>(std::move(terms), layout_.period, mean_difference,
                                         layout_.over_center - layout_.ref_center, layout_.reach);
}

}  // namespace charm::calibrate
