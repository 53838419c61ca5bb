#include "charm/kernels/reference.h"

#include <cmath>

namespace charm::kernels::reference {

std::vector<float> rms_norm(const std::vector<float>& x, const std::vector<float>& weight, float eps) {
  double total = 0.0;
  for (const float v : x) total += static_cast<double>(v) * v;
  const double scale = 1.0 / std::sqrt(total / static_cast<double>(x.size()) + eps);
  std::vector<float> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = static_cast<float>(weight[i] * (x[i] * scale));
  return out;
}

std::vector<float> rope(const std::vector<float>& x, const std::vector<float>& cos, const std::vector<float>& sin) {
  const std::size_t half = x.size() / 2;
  std::vector<float> out(x.size());
  for (std::size_t i = 0; i < half; ++i) {
    out[i] = static_cast<float>(double{x[i]} * cos[i] - double{x[half + i]} * sin[i]);
    out[half + i] = static_cast<float>(double{x[half + i]} * cos[i] + double{x[i]} * sin[i]);
  }
  return out;
}

std::vector<float> silu_mul(const std::vector<float>& gate, const std::vector<float>& up) {
  std::vector<float> out(gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i) {
    out[i] = static_cast<float>(gate[i] / (1.0 + std::exp(-double{gate[i]})) * up[i]);
  }
  return out;
}

}  // namespace charm::kernels::reference
