#include "charm/engine/encoder.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/engine/decoder.h"
#include "charm/engine/disentangled_attention.h"
#include "charm/engine/head.h"
#include "charm/engine/ops.h"
#include "charm/engine/weights_folder.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

// T tokens of all rows of a chunk, S rows, D model width, W embedding width, K taps.

/// Tokens that are computed together: enough rows for the GEMMs.
constexpr std::int64_t kChunkTokens = 2048;

/// The rows of a chunk, one after the other.
struct EncoderRows {
  std::vector<std::int64_t> ids_T, positions_T, types_T;
  std::vector<std::int64_t> starts_S{0};  ///< [S + 1]
};

struct EncoderNorm {
  Tensor weight_D, bias_D;  ///< float32
};

EncoderNorm norm_of(const LayerNormWeights& weights, DType dtype) {
  // Rounded to the model's type first, as transformers has them.
  return {weights.weight_D.to(dtype).to(DType::kFloat32),
          weights.bias_D.to(dtype).to(DType::kFloat32)};
}

Linear packed(const Tensor& weight_OI, const Tensor& bias_O, DType dtype) {
  Linear linear = Linear::pack(weight_OI.to(dtype), bias_O.defined() ? bias_O.to(dtype) : Tensor());
  release_pages(weight_OI);
  return linear;
}

Linear packed(const LinearWeights& weights, DType dtype) {
  return packed(weights.weight_OI, weights.bias_O, dtype);
}

/// LayerNorm in place: weight * (x - mean) / sqrt(variance + eps) + bias, in float32, rounded once.
template <typename Element>
void layer_norm_row(Element* x, const float* weight, const float* bias, std::int64_t width,
                    double eps) {
  double sum = 0.0;
  for (std::int64_t d = 0; d < width; ++d) sum += static_cast<double>(kernels::widened(x[d]));
  const double mean = sum / static_cast<double>(width);
  double squares = 0.0;
  for (std::int64_t d = 0; d < width; ++d) {
    const double difference = static_cast<double>(kernels::widened(x[d])) - mean;
    squares += difference * difference;
  }
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(width) + eps));
  const auto centre = static_cast<float>(mean);
  for (std::int64_t d = 0; d < width; ++d)
    kernels::narrow_to((kernels::widened(x[d]) - centre) * scale * weight[d] + bias[d], x[d]);
}

void layer_norm(Tensor& x_TD, const EncoderNorm& norm, double eps) {
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    auto* x = x_TD.mutable_data<Element>();
    const std::int64_t width = x_TD.cols();
    kernels::parallel_for_ranges(x_TD.rows(), /*grain=*/16,
                                 [&](std::int64_t begin, std::int64_t end) {
                                   for (std::int64_t t = begin; t < end; ++t)
                                     layer_norm_row(x + t * width, norm.weight_D.data<float>(),
                                                    norm.bias_D.data<float>(), width, eps);
                                 });
  });
}

float activated(float z, EncoderActivation activation) {
  const auto x = static_cast<double>(z);
  switch (activation) {
    case EncoderActivation::kGelu:
      return static_cast<float>(x / 2.0 * (1.0 + std::erf(x * std::sqrt(0.5))));
    case EncoderActivation::kGeluTanh: {
      constexpr double kScale = 0.7978845608028654;  // sqrt(2 / pi)
      return static_cast<float>(x / 2.0 * (1.0 + std::tanh(kScale * (x + 0.044715 * x * x * x))));
    }
    case EncoderActivation::kRelu:
      return std::max(z, 0.0F);
    case EncoderActivation::kTanh:
      return static_cast<float>(std::tanh(x));
  }
  return z;
}

/// In place.
void activate(Tensor& x, EncoderActivation activation) {
  call_for_dtype(x, [&](auto element) {
    auto* values = x.mutable_data<decltype(element)>();
    if (activation == EncoderActivation::kGelu) return kernels::gelu(values, x.numel());
    kernels::parallel_for_ranges(
        x.numel(), /*grain=*/1024, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i)
            kernels::narrow_to(activated(kernels::widened(values[i]), activation), values[i]);
        });
  });
}

/// x + linear(y), rounded once.
Tensor residual(const Tensor& x_TD, const Linear& linear, const Tensor& y_TI) {
  Tensor sum_TD = x_TD.clone();
  const Projection to[] = {{&linear, sum_TD, /*add=*/true}};
  project(y_TI, to);
  return sum_TD;
}

struct EncoderBlock {
  Linear query, key, value, attention_out, mlp_in, mlp_out;
  EncoderNorm attention_norm, mlp_norm;
  PositionTables tables;
};

/// The table's rows through a projection, as float32.
Tensor projected_table(const Tensor& table_RD, const LinearWeights& weights, DType dtype) {
  return packed(weights, dtype).forward(table_RD).to(DType::kFloat32);
}

EncoderBlock block_of(const EncoderBlockWeights& weights, const Tensor& table_RD,
                      const RelativeAttention& config, DType dtype) {
  EncoderBlock block{.query = packed(weights.query, dtype),
                     .key = packed(weights.key, dtype),
                     .value = packed(weights.value, dtype),
                     .attention_out = packed(weights.attention_out, dtype),
                     .mlp_in = packed(weights.mlp_in, dtype),
                     .mlp_out = packed(weights.mlp_out, dtype),
                     .attention_norm = norm_of(weights.attention_norm, dtype),
                     .mlp_norm = norm_of(weights.mlp_norm, dtype),
                     .tables = {}};
  if (!table_RD.defined()) return block;
  const bool shares = config.shares_content_weights;
  if (config.content_to_position) {
    block.tables.keys_RHE =
        projected_table(table_RD, shares ? weights.key : weights.position_key, dtype);
  }
  if (config.position_to_content) {
    block.tables.queries_RHE =
        projected_table(table_RD, shares ? weights.query : weights.position_query, dtype);
  }
  return block;
}

/// Conv1d over the tokens as a linear layer on K tokens side by side: [D, D, K] -> [D, K * D].
Linear convolution_of(const Tensor& weight_DDK, const Tensor& bias_D, DType dtype) {
  const Tensor stored = weight_DDK.to(DType::kFloat32);
  const std::int64_t outputs = stored.size(0), inputs = stored.size(1), taps = stored.size(2);
  Tensor flat = Tensor::empty({outputs, taps * inputs}, DType::kFloat32);
  const float* from = stored.data<float>();
  auto* to = flat.mutable_data<float>();
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      for (std::int64_t k = 0; k < taps; ++k)
        to[(o * taps + k) * inputs + i] = from[(o * inputs + i) * taps + k];
    }
  }
  return packed(flat, bias_D, dtype);
}

/// Each token's K neighbours side by side, zeros beyond the row's ends: [T, K * D].
Tensor neighbours(const Tensor& x_TD, std::span<const std::int64_t> starts_S, std::int64_t taps) {
  Tensor result = Tensor::zeros({x_TD.rows(), taps * x_TD.cols()}, x_TD.dtype());
  const std::size_t bytes = static_cast<std::size_t>(x_TD.cols()) * element_bytes(x_TD.dtype());
  for (std::size_t s = 0; s + 1 < starts_S.size(); ++s) {
    for (std::int64_t t = starts_S[s]; t < starts_S[s + 1]; ++t) {
      for (std::int64_t k = 0; k < taps; ++k) {
        const std::int64_t from = t + k - (taps - 1) / 2;
        if (from < starts_S[s] || from >= starts_S[s + 1]) continue;
        std::copy_n(x_TD.bytes() + static_cast<std::size_t>(from) * bytes, bytes,
                    result.mutable_bytes() + static_cast<std::size_t>(t * taps + k) * bytes);
      }
    }
  }
  return result;
}

void add_row(const PackedBatch& batch, const Segment& row, EncoderRows& rows) {
  const auto add = [&](std::int64_t begin, std::int64_t length, std::int64_t type) {
    for (std::int64_t i = 0; i < length; ++i) {
      rows.positions_T.push_back(std::ssize(rows.ids_T) - rows.starts_S.back());
      rows.ids_T.push_back(batch.ids[static_cast<std::size_t>(begin + i)]);
      rows.types_T.push_back(type);
    }
  };
  add(row.prompt_begin, row.prompt_length, 0);
  add(row.response_begin, row.response_length, row.prompt_length > 0 ? 1 : 0);
  rows.starts_S.push_back(std::ssize(rows.ids_T));
}

class EncoderRewardModel final : public RewardModel {
 public:
  EncoderRewardModel(Encoder encoder, Provenance provenance)
      : encoder_(std::move(encoder)), provenance_(std::move(provenance)) {}

  std::vector<float> score(const PackedBatch& batch) override {
    const Tensor scores_S = encoder_.forward(batch);
    const float* data = scores_S.data<float>();
    std::vector<float> scores(data, data + scores_S.numel());
    check_finite_scores(scores, batch.rows, config());
    return scores;
  }

  const DecoderConfig& config() const override { return encoder_.config(); }
  Provenance provenance() const override { return provenance_; }

 private:
  Encoder encoder_;
  Provenance provenance_;
};

}  // namespace

struct Encoder::State {
  State(const DecoderConfig& config, DecoderWeights weights, DType model_dtype);

  Tensor embed(const EncoderRows& rows) const;
  Tensor convolve(const Tensor& inputs_TD, Tensor x_TD, const EncoderRows& rows) const;
  Tensor forward(const EncoderRows& rows) const;

  EncoderConfig config;
  std::int64_t num_heads = 0;
  DType dtype = DType::kFloat32;
  Tensor words_VW, positions_PW, token_types_YW;  ///< as stored
  Linear projection;
  EncoderNorm embedding_norm;
  Linear convolution;
  EncoderNorm convolution_norm;
  std::vector<EncoderBlock> blocks;
  std::vector<HeadLayer> head;
};

Encoder::State::State(const DecoderConfig& model, DecoderWeights weights, DType model_dtype)
    : config(*model.encoder), num_heads(model.num_heads), dtype(model_dtype) {
  EncoderWeights& own = weights.encoder;
  words_VW = own.words_VW;
  positions_PW = own.positions_PW;
  token_types_YW = own.token_types_YW;
  if (own.projection_DW.defined()) projection = packed(own.projection_DW, Tensor(), dtype);
  embedding_norm = norm_of(own.embedding_norm, dtype);
  if (own.convolution_DDK.defined()) {
    convolution = convolution_of(own.convolution_DDK, own.convolution_bias_D, dtype);
    convolution_norm = norm_of(own.convolution_norm, dtype);
  }
  Tensor table_RD;
  if (own.relative_RD.defined()) {
    table_RD = own.relative_RD.to(dtype).clone();
    if (own.relative_norm.weight_D.defined())
      layer_norm(table_RD, norm_of(own.relative_norm, dtype), config.norm_eps);
  }
  for (EncoderBlockWeights& block : own.blocks) {
    blocks.push_back(block_of(block, table_RD, config.relative, dtype));
    block = EncoderBlockWeights();  // packed copies replace the originals block by block
  }
  for (HeadLayer& layer : weights.head) {
    head.push_back({layer.weight_OI.to(DType::kFloat32), layer.bias_O.to(DType::kFloat32)});
  }
  release_pages(words_VW);  // rows fault in again on lookup
}

/// Sums of embeddings -> [T, D] after their LayerNorm, in the model's type.
Tensor Encoder::State::embed(const EncoderRows& rows) const {
  Tensor sum = embedding_rows(words_VW, rows.ids_T, /*factor=*/1.0F, dtype);
  if (positions_PW.defined())
    add_to(sum, embedding_rows(positions_PW, rows.positions_T, 1.0F, dtype));
  if (token_types_YW.defined())
    add_to(sum, embedding_rows(token_types_YW, rows.types_T, 1.0F, dtype));
  Tensor x_TD = projection.defined() ? projection.forward(sum) : sum;
  layer_norm(x_TD, embedding_norm, config.norm_eps);
  return x_TD;
}

/// LayerNorm(x + activation(convolution of the first block's inputs)).
Tensor Encoder::State::convolve(const Tensor& inputs_TD, Tensor x_TD,
                                const EncoderRows& rows) const {
  Tensor out_TD =
      convolution.forward(neighbours(inputs_TD, rows.starts_S, config.convolution.taps));
  activate(out_TD, config.convolution.activation);
  add_to(x_TD, out_TD);
  layer_norm(x_TD, convolution_norm, config.norm_eps);
  return x_TD;
}

/// [S, 1] float32.
Tensor Encoder::State::forward(const EncoderRows& rows) const {
  Tensor x_TD = embed(rows);
  for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
    const EncoderBlock& block = blocks[layer];
    const auto like_x = [&] { return Tensor::empty(x_TD.shape(), dtype); };
    const Projection to[] = {
        {&block.query, like_x()}, {&block.key, like_x()}, {&block.value, like_x()}};
    project(x_TD, to);
    const Tensor mixed =
        disentangled_attention(to[0].out_NO, to[1].out_NO, to[2].out_NO, rows.starts_S, num_heads,
                               block.tables, config.relative);
    Tensor attended = residual(x_TD, block.attention_out, mixed);
    layer_norm(attended, block.attention_norm, config.norm_eps);
    Tensor mlp = block.mlp_in.forward(attended);
    activate(mlp, config.activation);
    Tensor out = residual(attended, block.mlp_out, mlp);
    layer_norm(out, block.mlp_norm, config.norm_eps);
    x_TD = layer == 0 && convolution.defined() ? convolve(x_TD, std::move(out), rows) : out;
  }
  const std::span<const std::int64_t> firsts(rows.starts_S.data(), rows.starts_S.size() - 1);
  Tensor pooled = head_layer(head[0], select_rows(x_TD, firsts).to(DType::kFloat32));
  auto* values = pooled.mutable_data<float>();
  for (std::int64_t i = 0; i < pooled.numel(); ++i)
    values[i] = activated(values[i], config.pooler_activation);
  return head_layer(head[1], pooled);
}

Encoder::Encoder(DecoderConfig config, DecoderWeights weights, DType dtype)
    : config_(std::move(config)),
      state_(std::make_unique<const State>(config_, std::move(weights), dtype)) {}

Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;

Tensor Encoder::forward(const PackedBatch& batch) const {
  Tensor scores_S = Tensor::empty({std::ssize(batch.responses)}, DType::kFloat32);
  auto* score = scores_S.mutable_data<float>();
  EncoderRows rows;
  const auto finish = [&] {
    const Tensor chunk = state_->forward(rows);
    score = std::copy_n(chunk.data<float>(), chunk.numel(), score);
    rows = EncoderRows();
  };
  for (std::size_t s = 0; s < batch.responses.size(); ++s) {
    const Segment& row = batch.responses[s];
    const std::int64_t length = row.prompt_length + row.response_length;
    if (state_->positions_PW.defined() && length > state_->positions_PW.rows()) {
      throw Error(ErrorKind::kInput,
                  "row {} of this batch has {} tokens, but the model only {} positions: give "
                  "--max-tokens {}",
                  batch.rows[s], length, state_->positions_PW.rows(), state_->positions_PW.rows());
    }
    if (!rows.ids_T.empty() && std::ssize(rows.ids_T) + length > kChunkTokens) finish();
    add_row(batch, row, rows);
  }
  if (!rows.ids_T.empty()) finish();
  return scores_S;
}

std::unique_ptr<RewardModel> load_encoder(const ModelSource& source, const DecoderConfig& config,
                                          const RewardModelOptions& options) {
  LoadedWeights loaded = load_cpu_weights(source, config, options, /*lm_head=*/false);
  return std::make_unique<EncoderRewardModel>(
      Encoder(config, std::move(loaded.weights), loaded.dtype), std::move(loaded.provenance));
}

}  // namespace charm::engine
