#include "charm/calibrate/fft.h"

#include <bit>
#include <numbers>

#include "charm/base/check.h"

namespace charm::calibrate {

Fft::Fft(std::size_t length) : length_(length) {
  CHARM_CHECK(std::has_single_bit(length), "{} is no power of two", length);
  log2_length_ = std::countr_zero(length);
  const double step = -2.0 * std::numbers::pi / static_cast<double>(length);
  twiddles_.resize(length / 2);
  for (std::size_t k = 0; k < length / 2; ++k) {
    twiddles_[k] = std::polar(1.0, step * static_cast<double>(k));
  }
}

void Fft::transform(std::span<std::complex<double>> values) const {
  CHARM_CHECK(values.size() == length_, "{} values for length {}", values.size(), length_);
  // Plain re and im: std::complex multiplication checks for NaN and is several times slower.
  for (std::size_t half = length_ / 2, stride = 1; half >= 1; half /= 2, stride *= 2) {
    for (std::size_t first = 0; first < length_; first += 2 * half) {
      for (std::size_t k = 0; k < half; ++k) {
        auto& upper = values[first + k];
        auto& lower = values[first + k + half];
        const double re = upper.real() - lower.real();
        const double im = upper.imag() - lower.imag();
        upper = {upper.real() + lower.real(), upper.imag() + lower.imag()};
        const double w_re = twiddles_[k * stride].real();
        const double w_im = twiddles_[k * stride].imag();
        lower = {re * w_re - im * w_im, re * w_im + im * w_re};
      }
    }
  }
}

std::size_t Fft::position(std::size_t m) const {
  std::size_t reversed = 0;
  for (int bit = 0; bit < log2_length_; ++bit) {
    reversed = reversed << 1 | (m >> bit & 1);
  }
  return reversed;
}

}  // namespace charm::calibrate
