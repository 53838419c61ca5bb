#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

// Row-wise kernels on plain memory. T rows, D width, H heads, E head width. All pointers are to
// contiguous memory unless a stride is named. `Element` is float or BFloat16 (bits of a bfloat16).
// Arithmetic is float32; bfloat16 results are rounded once, to nearest even. Rows are divided among
// the workers of thread_pool.h; a row's result does not depend on the partition.
namespace charm::kernels {

/// The bits of a bfloat16.
struct BFloat16 {
  std::uint16_t bits;
};

inline float widened(float v) { return v; }
inline float widened(BFloat16 v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
}

inline void narrow_to(float v, float& out) { out = v; }
/// To nearest even; a NaN stays one.
inline void narrow_to(float v, BFloat16& out) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  out.bits = static_cast<std::uint16_t>(v == v ? rounded : 0x7fc0u);
}

/// Activation of a gated MLP: out = f(gate) * up.
enum class GateFunction {
  kSilu,         ///< z / (1 + exp(-z))
  kGelu,         ///< z / 2 * (1 + erf(z / sqrt(2)))
  kGeluTanh,     ///< z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 z^3)))
  kQuickGelu,    ///< z / (1 + exp(-1.702 z))
  kRelu,         ///< max(z, 0)
  kReluSquared,  ///< max(z, 0)^2
};
inline constexpr std::size_t kNumGateFunctions = 6;

/// Uninitialised memory in huge pages where the system has them: fewer page faults and TLB misses.
class HugePageBuffer {
 public:
  HugePageBuffer() = default;
  explicit HugePageBuffer(std::size_t words);

  std::uint32_t* data() { return words_.get(); }
  const std::uint32_t* data() const { return words_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::uint32_t* memory) const;
  };
  std::unique_ptr<std::uint32_t[], Free> words_;
  std::size_t size_ = 0;
};

/// RMSNorm: out = (offset + weight) * x / sqrt(mean(x^2) + eps); Llama's has offset 0, Gemma's 1.
/// Source: transformers 5.17, modeling_llama.py, LlamaRMSNorm. There bfloat16 is rounded once more
/// before the weight; here not.
template <typename Element>
void rms_norm(const Element* x_TD, const Element* weight_D, float eps, Element* out_TD,
              std::int64_t rows, std::int64_t width, float weight_offset = 0.0f);

/// RoPE (rotate_half form), in place: x[t, h, :] = x[t, h, :] * cos[t, :] + rotate_half(x[t, h, :])
/// * sin[t, :]. cos and sin are float32 [T, R/2] (both halves of a head's first R values use the
/// same angles); the other E - R values stay as they are (partial rotary factor). Source:
/// transformers 5.17, apply_rotary_pos_emb.
template <typename Element>
void rope(Element* x_THE, const float* cos_TF, const float* sin_TF, std::int64_t rows,
          std::int64_t heads, std::int64_t head_dim, std::int64_t rotary_dim);

/// One linear layer of a head: out[s, o] = sum_i x[s, i] * weight[o, i] + bias[o]; float32 with
/// sums in float64. `bias_O` may be null. Plain loops: it runs once per response.
void head_layer(const float* x_SI, const float* weight_OI, const float* bias_O, float* out_SO,
                std::int64_t rows, std::int64_t inputs, std::int64_t outputs);

/// weights[i] = exp((logits[i] - max) * scale) in float32; the largest is 1. Logits may be
/// -infinity (weight 0). Returns the sum in float64; its summation order depends on `count` alone.
double softmax_weights(const float* logits, std::int64_t count, float scale, float* weights);

/// to += x, each sum rounded once.
template <typename Element>
void add(Element* to, const Element* x, std::int64_t count);

/// x *= factor, each product rounded once.
template <typename Element>
void scale(Element* x, float factor, std::int64_t count);

/// x *= 1 / (1 + exp(-gate)), each product rounded once.
template <typename Element>
void sigmoid_mul(Element* x, const Element* gate, std::int64_t count);
/// gate = gelu(gate) * x with the tanh approximation, rounded once.
template <typename Element>
void gelu_tanh_mul(Element* gate, const Element* x, std::int64_t count);
/// x = x / 2 * (1 + erf(x / sqrt(2))), rounded once.
template <typename Element>
void gelu(Element* x, std::int64_t count);

/// x = cap * tanh(x / cap) in place: the soft cap of final logits. The division is rounded to
/// float32, tanh is computed in float64.
void softcap(float* x, float cap, std::int64_t count);

// Rows of a mixture-of-experts layer: which expert computes which rows, gathered and summed again.
// X experts, k experts per row, N = T * k gathered rows.

/// Top-k routing of a layer.
struct ExpertRouting {
  std::int64_t num_experts = 0;
  std::int64_t experts_per_token = 0;
  /// The weights of a row's experts sum to 1; otherwise they are the probabilities among all
  /// experts.
  bool normalise = true;
  bool operator==(const ExpertRouting&) const = default;
};

/// Rows sorted by expert, rows of one expert in their own order.
struct ExpertRows {
  std::vector<std::int64_t> begins_X;   ///< [X + 1]: expert e computes begins_X[e] ..
                                        ///< begins_X[e + 1] of the gathered rows
  std::vector<std::int64_t> rows_N;     ///< the row of each gathered one
  std::vector<std::int64_t> places_Tk;  ///< gathered rows of each row, in ascending order of expert
  std::vector<float> weights_Tk;        ///< their weights
};

/// The k most probable experts of every row: softmax over all logits, top-k, weights. Of equal
/// logits the lower expert wins. Source: transformers 5.17, Qwen3MoeTopKRouter and
/// MixtralTopKRouter. A row's experts and weights depend on its own logits alone.
ExpertRows route(const float* logits_TX, std::int64_t rows, const ExpertRouting& routing);

/// out[n] = x[rows_N[n]].
template <typename Element>
void gather_rows(const Element* x_TD, const ExpertRows& experts, std::int64_t width,
                 Element* out_ND);

/// out[t] = sum_j weights[t, j] * y[places[t, j]], or out[t] + that sum; in float32 in ascending
/// order of expert, rounded once.
template <typename Element>
void combine_rows(const Element* y_ND, const ExpertRows& experts, std::int64_t rows,
                  std::int64_t width, bool add, Element* out_TD);

/// Name of the instruction set that was dispatched to ("AVX3", "AVX2", ...).
const char* instruction_set();

}  // namespace charm::kernels
