#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "charm/calibrate/smooth_pairs.h"

namespace charm::calibrate {

/// Spreading kernel of the non-uniform FFT: `width` grid cells, exp(beta (sqrt(1 - z^2) - 1)) over
/// z in [-1, 1] (Barnett, Magland and af Klinteberg 2019, doi 10.1137/18M120885X), for an
/// oversampling factor of 2.
struct SpreadKernel {
  int width = 0;
  double beta = 0.0;

  /// The narrowest kernel whose relative error stays near `tolerance`.
  static SpreadKernel for_tolerance(double tolerance);

  /// Deconvolution factors at frequencies m = 0 .. num_frequencies: transform of the points /
  /// transform of the spread points.
  std::vector<double> corrections(std::size_t grid, std::size_t num_frequencies) const;
};

/// Points on a periodic grid with their kernel values, computed once; spreading weights is then a
/// few multiply-adds a point. Immutable once built.
class SpreadPoints {
 public:
  /// `points` in grid cells, at least kernel.width / 2 away from both ends of the grid.
  SpreadPoints(std::span<const double> points, const SpreadKernel& kernel);

  /// Adds weight * kernel of the block's points to the real (or imaginary) part of `grid`.
  void add_real(std::span<const double> weights, RowBlock rows,
                std::span<std::complex<double>> grid) const;
  void add_imaginary(std::span<const double> weights, RowBlock rows,
                     std::span<std::complex<double>> grid) const;

 private:
  void add(std::span<const double> weights, RowBlock rows, double* grid) const;

  std::size_t width_;
  std::vector<std::uint32_t> first_;  // [point] first grid cell of the kernel
  std::vector<double> values_;        // [point * width]
};

/// Fourier transform of a fixed power-of-two length:  X_m = sum_l x_l e^(-2 pi i m l / n).
/// Radix 2, decimation in frequency, in place; results stay in bit-reversed order, see `position`.
/// Immutable once built; safe to use from many threads.
class Fft {
 public:
  explicit Fft(std::size_t length);

  std::size_t length() const { return length_; }
  void transform(std::span<std::complex<double>> values) const;
  /// Where `transform` leaves X_m, m in [0, length).
  std::size_t position(std::size_t m) const;

 private:
  std::size_t length_;
  int log2_length_ = 0;
  std::vector<std::complex<double>> twiddles_;  // e^(-2 pi i k / n), k < n / 2
};

}  // namespace charm::calibrate
