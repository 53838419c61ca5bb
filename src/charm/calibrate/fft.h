#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace charm::calibrate {

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
