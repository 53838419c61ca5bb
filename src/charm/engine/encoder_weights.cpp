#include "charm/engine/encoder_weights.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "charm/engine/model_config.h"
#include "charm/engine/weight_names.h"

namespace charm::engine {
namespace {

/// Adds slots under the names of transformers 5.17, models/deberta_v2.
class EncoderSlots {
 public:
  explicit EncoderSlots(std::int64_t width) : width_(width) {}

  void add(std::string name, std::vector<std::int64_t> shape, Tensor& tensor,
           WeightShape kind = WeightShape::kEncoder) {
    slots_.push_back({std::move(name), kind, std::move(shape), &tensor});
  }
  void add_norm(const std::string& name, LayerNormWeights& norm) {
    add(name + ".weight", {width_}, norm.weight_D, WeightShape::kNorm);
    add(name + ".bias", {width_}, norm.bias_D);
  }
  void add_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs,
                  LinearWeights& linear) {
    add(name + ".weight", {outputs, inputs}, linear.weight_OI);
    add(name + ".bias", {outputs}, linear.bias_O);
  }
  std::vector<WeightSlot> take() { return std::move(slots_); }

 private:
  std::int64_t width_;
  std::vector<WeightSlot> slots_;
};

void add_block(EncoderSlots& slots, const std::string& prefix, const DecoderConfig& config,
               EncoderBlockWeights& block) {
  const RelativeAttention& relative = config.encoder->relative;
  const std::int64_t width = config.hidden_size, mlp = config.intermediate_size;
  const std::string self = prefix + "attention.self.";
  slots.add_linear(self + "query_proj", width, width, block.query);
  slots.add_linear(self + "key_proj", width, width, block.key);
  slots.add_linear(self + "value_proj", width, width, block.value);
  if (relative.span > 0 && !relative.shares_content_weights) {
    if (relative.content_to_position)
      slots.add_linear(self + "pos_key_proj", width, width, block.position_key);
    if (relative.position_to_content)
      slots.add_linear(self + "pos_query_proj", width, width, block.position_query);
  }
  slots.add_linear(prefix + "attention.output.dense", width, width, block.attention_out);
  slots.add_norm(prefix + "attention.output.LayerNorm", block.attention_norm);
  slots.add_linear(prefix + "intermediate.dense", mlp, width, block.mlp_in);
  slots.add_linear(prefix + "output.dense", width, mlp, block.mlp_out);
  slots.add_norm(prefix + "output.LayerNorm", block.mlp_norm);
}

}  // namespace

std::vector<WeightSlot> encoder_slots(EncoderWeights& weights, const DecoderConfig& config) {
  const EncoderConfig& own = *config.encoder;
  const std::int64_t width = config.hidden_size, stored = own.embedding_width;
  const std::string embeddings = "deberta.embeddings.", trunk = "deberta.encoder.";
  EncoderSlots slots(width);
  slots.add(embeddings + "word_embeddings.weight", {config.vocab_size, stored}, weights.words_VW);
  if (own.has_positions) {
    slots.add(embeddings + "position_embeddings.weight", {config.max_positions, stored},
              weights.positions_PW);
  }
  if (own.num_token_types > 0) {
    slots.add(embeddings + "token_type_embeddings.weight", {own.num_token_types, stored},
              weights.token_types_YW);
  }
  if (stored != width)
    slots.add(embeddings + "embed_proj.weight", {width, stored}, weights.projection_DW);
  slots.add_norm(embeddings + "LayerNorm", weights.embedding_norm);
  if (own.relative.span > 0)
    slots.add(trunk + "rel_embeddings.weight", {2 * own.relative.span, width}, weights.relative_RD);
  if (own.relative.norms_table) slots.add_norm(trunk + "LayerNorm", weights.relative_norm);
  if (own.convolution.taps > 0) {
    slots.add(trunk + "conv.conv.weight", {width, width, own.convolution.taps},
              weights.convolution_DDK);
    slots.add(trunk + "conv.conv.bias", {width}, weights.convolution_bias_D);
    slots.add_norm(trunk + "conv.LayerNorm", weights.convolution_norm);
  }
  weights.blocks.resize(static_cast<std::size_t>(config.num_layers));
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer)
    add_block(slots, fmt::format("{}layer.{}.", trunk, layer), config, weights.blocks[layer]);
  return slots.take();
}

}  // namespace charm::engine
