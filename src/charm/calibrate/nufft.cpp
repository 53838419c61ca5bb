#include "charm/calibrate/nufft.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "charm/base/check.h"

namespace charm::calibrate {
namespace {

double kernel_value(double z, double beta) {
  const double inside = 1.0 - z * z;
  return inside <= 0.0 ? 0.0 : std::exp(beta * (std::sqrt(inside) - 1.0));
}

struct Node {
  double place;
  double weight;
};

// Gauss-Legendre quadrature on [-1, 1]: Newton's method on the Legendre polynomial of degree
// `count`.
std::vector<Node> gauss_legendre(int count) {
  std::vector<Node> nodes;
  for (int i = 0; i < count; ++i) {
    double x = std::cos(std::numbers::pi * (i + 0.75) / (count + 0.5));
    double derivative = 1.0;
    for (int step = 0; step < 20; ++step) {
      double previous = 1.0;
      double value = x;
      for (int k = 2; k <= count; ++k) {
        const double next = ((2 * k - 1) * x * value - (k - 1) * previous) / k;
        previous = value;
        value = next;
      }
      derivative = count * (x * value - previous) / (x * x - 1.0);
      x -= value / derivative;
    }
    nodes.push_back({.place = x, .weight = 2.0 / ((1.0 - x * x) * derivative * derivative)});
  }
  return nodes;
}

}  // namespace

SpreadKernel SpreadKernel::for_tolerance(double tolerance) {
  // One digit per cell plus two; beta is the article's choice for an oversampling factor of 2.
  const int width = static_cast<int>(std::ceil(-std::log10(tolerance))) + 2;
  return {.width = width, .beta = 2.30 * width};
}

std::vector<double> SpreadKernel::corrections(std::size_t grid, std::size_t num_frequencies) const {
  // The kernel's transform at m is (width / 2) * integral of value(z) cos(m alpha z) dz over [-1,
  // 1] grid cells.
  const double alpha = std::numbers::pi * width / static_cast<double>(grid);
  std::vector<Node> nodes;
  for (const Node& node : gauss_legendre(2 * (4 + 2 * width))) {
    if (node.place <= 0.0) continue;  // even in z: twice the positive half
    nodes.push_back(
        {.place = node.place, .weight = 2.0 * node.weight * kernel_value(node.place, beta)});
  }
  std::vector<double> corrections(num_frequencies + 1);
  for (std::size_t m = 0; m <= num_frequencies; ++m) {
    double integral = 0.0;
    for (const Node& node : nodes) {
      integral += node.weight * std::cos(static_cast<double>(m) * alpha * node.place);
    }
    corrections[m] = 2.0 / (width * integral);
  }
  return corrections;
}

SpreadPoints::SpreadPoints(std::span<const double> points, const SpreadKernel& kernel)
    : width_(static_cast<std::size_t>(kernel.width)) {
  const double half = 0.5 * kernel.width;
  first_.reserve(points.size());
  values_.reserve(points.size() * width_);
  for (const double point : points) {
    const double first = std::ceil(point - half);
    first_.push_back(static_cast<std::uint32_t>(first));
    for (std::size_t k = 0; k < width_; ++k) {
      values_.push_back(kernel_value((first + static_cast<double>(k) - point) / half, kernel.beta));
    }
  }
}

void SpreadPoints::add(std::span<const double> weights, RowBlock rows, double* grid) const {
  for (std::size_t row = rows.first; row < rows.last; ++row) {
    if (weights[row] == 0.0) continue;
    const double* value = values_.data() + row * width_;
    double* cell = grid + 2 * static_cast<std::size_t>(first_[row]);
    for (std::size_t k = 0; k < width_; ++k) cell[2 * k] += weights[row] * value[k];
  }
}

// std::complex<double> may be read as two doubles ([complex.numbers.general]).
void SpreadPoints::add_real(std::span<const double> weights, RowBlock rows,
                            std::span<std::complex<double>> grid) const {
  add(weights, rows, reinterpret_cast<double*>(grid.data()));
}

void SpreadPoints::add_imaginary(std::span<const double> weights, RowBlock rows,
                                 std::span<std::complex<double>> grid) const {
  add(weights, rows, reinterpret_cast<double*>(grid.data()) + 1);
}

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
