#pragma once

#include <cstdint>
#include <vector>

// Plain reference versions of the kernels for tests: float32 in and out, float64 inside. D width of
// a row, I inputs, O outputs, L keys, E head width.
namespace charm::kernels::reference {

/// One row [D], as `kernels::rms_norm`.
std::vector<float> rms_norm(const std::vector<float>& x, const std::vector<float>& weight,
                            float eps);
/// One head [E] at one position; cos and sin [E/2].
std::vector<float> rope(const std::vector<float>& x, const std::vector<float>& cos,
                        const std::vector<float>& sin);
/// One row of x W^T + b; empty bias: none.
std::vector<float> linear(const std::vector<float>& x, const std::vector<float>& weight_OI,
                          const std::vector<float>& bias_O);

/// One query row at `position` of a sequence against its K and V [L, E]; scale, window and
/// softcap as in AttentionShape.
std::vector<float> attention_row(const std::vector<float>& q, const std::vector<float>& k_LE,
                                 const std::vector<float>& v_LE, std::int64_t position, float scale,
                                 std::int64_t window, float softcap);

/// One channel [T] of `causal_conv_silu` from the sequence's beginning.
std::vector<double> causal_conv_silu(const std::vector<float>& x, const std::vector<float>& weight);
/// One head of `gated_delta_rule` from a state of zeros, [T, U] of values [T, U], with queries and
/// keys [T, K] as they are.
std::vector<double> gated_delta_rule(const std::vector<double>& q_TK,
                                     const std::vector<double>& k_TK,
                                     const std::vector<double>& v_TU,
                                     const std::vector<double>& decay_T,
                                     const std::vector<double>& beta_T);

/// Gradients of one query row of `attention_row` by the formulas of kernels/attention.h.
struct AttentionRowGradients {
  std::vector<double> dq, dk_LE, dv_LE;
};
AttentionRowGradients attention_row_backward(const std::vector<float>& q,
                                             const std::vector<float>& k_LE,
                                             const std::vector<float>& v_LE,
                                             const std::vector<float>& d_out, std::int64_t position,
                                             float scale, std::int64_t window, float softcap);

/// Gradients of one row of (offset + weight) x / sqrt(mean(x^2) + eps).
struct NormGradients {
  std::vector<double> dx, dw;
};
NormGradients rms_norm_backward(const std::vector<float>& x, const std::vector<float>& weight,
                                const std::vector<float>& dy, float offset, float eps);

/// f and its derivative at z, of each GateFunction.
struct GateValue {
  double value, slope;
};
GateValue silu(double z);
GateValue gelu(double z);
GateValue gelu_tanh(double z);
GateValue quick_gelu(double z);
GateValue relu(double z);
GateValue relu_squared(double z);

/// One row [D] of a gated MLP's activation, f(gate) * up.
std::vector<float> gate_mul(GateValue (*f)(double), const std::vector<float>& gate,
                            const std::vector<float>& up);

}  // namespace charm::kernels::reference
