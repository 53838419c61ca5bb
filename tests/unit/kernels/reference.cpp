#include "tests/unit/kernels/reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace charm::kernels::reference {

std::vector<float> rms_norm(const std::vector<float>& x, const std::vector<float>& weight,
                            float eps) {
  double total = 0.0;
  for (const float v : x) total += static_cast<double>(v) * v;
  const double scale = 1.0 / std::sqrt(total / static_cast<double>(x.size()) + eps);
  std::vector<float> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    out[i] = static_cast<float>(weight[i] * (x[i] * scale));
  return out;
}

std::vector<float> rope(const std::vector<float>& x, const std::vector<float>& cos,
                        const std::vector<float>& sin) {
  const std::size_t half = x.size() / 2;
  std::vector<float> out(x.size());
  for (std::size_t i = 0; i < half; ++i) {
    out[i] = static_cast<float>(double{x[i]} * cos[i] - double{x[half + i]} * sin[i]);
    out[half + i] = static_cast<float>(double{x[half + i]} * cos[i] + double{x[i]} * sin[i]);
  }
  return out;
}

std::vector<double> causal_conv_silu(const std::vector<float>& x,
                                     const std::vector<float>& weight) {
  std::vector<double> out;
  for (std::size_t t = 0; t < x.size(); ++t) {
    double sum = 0.0;
    for (std::size_t w = 0; w < weight.size(); ++w) {
      if (t + w + 1 >= weight.size()) sum += double{weight[w]} * x[t + w + 1 - weight.size()];
    }
    out.push_back(sum / (1.0 + std::exp(-sum)));
  }
  return out;
}

std::vector<double> gated_delta_rule(const std::vector<double>& q_TK,
                                     const std::vector<double>& k_TK,
                                     const std::vector<double>& v_TU,
                                     const std::vector<double>& decay_T,
                                     const std::vector<double>& beta_T) {
  const std::size_t rows = decay_T.size(), K = k_TK.size() / rows, U = v_TU.size() / rows;
  std::vector<double> state_KU(K * U), out;
  for (std::size_t t = 0; t < rows; ++t) {
    for (double& s : state_KU) s *= decay_T[t];
    for (std::size_t u = 0; u < U; ++u) {
      double read = 0.0, result = 0.0;
      for (std::size_t k = 0; k < K; ++k) read += state_KU[k * U + u] * k_TK[t * K + k];
      const double delta = beta_T[t] * (v_TU[t * U + u] - read);
      for (std::size_t k = 0; k < K; ++k) {
        state_KU[k * U + u] += k_TK[t * K + k] * delta;
        result += state_KU[k * U + u] * q_TK[t * K + k];
      }
      out.push_back(result);
    }
  }
  return out;
}

std::vector<float> attention_row(const std::vector<float>& q, const std::vector<float>& k_LE,
                                 const std::vector<float>& v_LE, std::int64_t position, float scale,
                                 std::int64_t window, float softcap) {
  const std::size_t dim = q.size();
  const std::int64_t first = window == 0 ? 0 : std::max<std::int64_t>(0, position + 1 - window);
  std::vector<double> logits;
  for (std::int64_t n = first; n <= position; ++n) {
    double product = 0.0;
    for (std::size_t e = 0; e < dim; ++e)
      product += double{q[e]} * k_LE[static_cast<std::size_t>(n) * dim + e];
    product *= scale;
    logits.push_back(softcap == 0.0f ? product : softcap * std::tanh(product / softcap));
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  std::vector<double> out(dim);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp(logits[i] - largest);
    sum += weight;
    const std::size_t n = static_cast<std::size_t>(first) + i;
    for (std::size_t e = 0; e < dim; ++e) out[e] += weight * v_LE[n * dim + e];
  }
  std::vector<float> result(dim);
  for (std::size_t e = 0; e < dim; ++e) result[e] = static_cast<float>(out[e] / sum);
  return result;
}

std::vector<float> linear(const std::vector<float>& x, const std::vector<float>& weight_OI,
                          const std::vector<float>& bias_O) {
  std::vector<float> out(weight_OI.size() / x.size());
  for (std::size_t o = 0; o < out.size(); ++o) {
    double sum = bias_O.empty() ? 0.0 : double{bias_O[o]};
    for (std::size_t i = 0; i < x.size(); ++i) sum += double{x[i]} * weight_OI[o * x.size() + i];
    out[o] = static_cast<float>(sum);
  }
  return out;
}

AttentionRowGradients attention_row_backward(const std::vector<float>& q,
                                             const std::vector<float>& k_LE,
                                             const std::vector<float>& v_LE,
                                             const std::vector<float>& d_out, std::int64_t position,
                                             float scale, std::int64_t window, float softcap) {
  const std::size_t dim = q.size();
  const auto first =
      static_cast<std::size_t>(window == 0 ? 0 : std::max<std::int64_t>(0, position + 1 - window));
  const std::size_t count = static_cast<std::size_t>(position) + 1 - first;
  std::vector<double> weights(count), slopes(count, double{scale}), dp(count);
  double largest = -1e300;
  for (std::size_t i = 0; i < count; ++i) {
    double s = 0.0;
    for (std::size_t e = 0; e < dim; ++e) {
      s += double{q[e]} * k_LE[(first + i) * dim + e];
      dp[i] += double{d_out[e]} * v_LE[(first + i) * dim + e];
    }
    s *= scale;
    if (softcap != 0.0f) {
      const double t = std::tanh(s / softcap);
      s = softcap * t;
      slopes[i] *= 1.0 - t * t;
    }
    weights[i] = s;
    largest = std::max(largest, s);
  }
  double sum = 0.0, dot = 0.0;
  for (double& w : weights) sum += w = std::exp(w - largest);
  for (std::size_t i = 0; i < count; ++i) dot += (weights[i] /= sum) * dp[i];
  AttentionRowGradients g{std::vector<double>(dim), std::vector<double>(k_LE.size()),
                          std::vector<double>(v_LE.size())};
  for (std::size_t i = 0; i < count; ++i) {
    const double ds = weights[i] * (dp[i] - dot) * slopes[i];
    for (std::size_t e = 0; e < dim; ++e) {
      const std::size_t at = (first + i) * dim + e;
      g.dq[e] += ds * k_LE[at];
      g.dk_LE[at] += ds * q[e];
      g.dv_LE[at] += weights[i] * d_out[e];
    }
  }
  return g;
}

NormGradients rms_norm_backward(const std::vector<float>& x, const std::vector<float>& weight,
                                const std::vector<float>& dy, float offset, float eps) {
  const auto width = static_cast<double>(x.size());
  double squares = 0.0, dot = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    squares += double{x[i]} * x[i];
    dot += double{dy[i]} * (double{weight[i]} + offset) * x[i];
  }
  const double r = 1.0 / std::sqrt(squares / width + eps);
  NormGradients g;
  for (std::size_t i = 0; i < x.size(); ++i) {
    g.dx.push_back(dy[i] * (double{weight[i]} + offset) * r - x[i] * dot / width * r * r * r);
    g.dw.push_back(dy[i] * (x[i] * r));
  }
  return g;
}

GateValue silu(double z) {
  const double s = 1.0 / (1.0 + std::exp(-z));
  return {z * s, s + z * s * (1.0 - s)};
}

GateValue gelu(double z) {
  const double cumulative = 0.5 * (1.0 + std::erf(z / std::numbers::sqrt2));
  const double density = std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::numbers::pi);
  return {z * cumulative, cumulative + z * density};
}

GateValue gelu_tanh(double z) {
  const double c = std::sqrt(2.0 / std::numbers::pi);
  const double t = std::tanh(c * (z + 0.044715 * z * z * z));
  return {z / 2 * (1.0 + t),
          (1.0 + t) / 2 + z / 2 * (1.0 - t * t) * c * (1.0 + 3 * 0.044715 * z * z)};
}

GateValue quick_gelu(double z) {
  const double s = 1.0 / (1.0 + std::exp(-1.702 * z));
  return {z * s, s + 1.702 * z * s * (1.0 - s)};
}

GateValue relu(double z) { return z > 0 ? GateValue{z, 1} : GateValue{0, 0}; }

GateValue relu_squared(double z) { return z > 0 ? GateValue{z * z, 2 * z} : GateValue{0, 0}; }

std::vector<float> gate_mul(GateValue (*f)(double), const std::vector<float>& gate,
                            const std::vector<float>& up) {
  std::vector<float> out(gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i)
    out[i] = static_cast<float>(f(double{gate[i]}).value * up[i]);
  return out;
}

}  // namespace charm::kernels::reference
