#pragma once

#include <cstdint>
#include <vector>

// The plain versions of the kernels, float32 in and out, float64 inside. Tests compare the fast
// ones with these.
namespace charm::kernels::reference {

std::vector<float> rms_norm(const std::vector<float>& x, const std::vector<float>& weight,
                            float eps);
std::vector<float> rope(const std::vector<float>& x, const std::vector<float>& cos,
                        const std::vector<float>& sin);
std::vector<float> silu_mul(const std::vector<float>& gate, const std::vector<float>& up);
std::vector<float> gelu_mul(const std::vector<float>& gate, const std::vector<float>& up);
std::vector<float> gelu_tanh_mul(const std::vector<float>& gate, const std::vector<float>& up);

/// One row of x W^T + b; an empty bias is none.
std::vector<float> linear(const std::vector<float>& x, const std::vector<float>& weight_OI,
                          const std::vector<float>& bias_O);

/// One query row at `position` of a sequence against its keys and values [L, E]; scale, window and
/// softcap as in AttentionShape.
std::vector<float> attention_row(const std::vector<float>& q, const std::vector<float>& k_LE,
                                 const std::vector<float>& v_LE, std::int64_t position, float scale,
                                 std::int64_t window, float softcap);

}  // namespace charm::kernels::reference
