#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <sstream>

#include "charm/engine/config_reader.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

/// "c2p|p2c" in any case and with spaces, as DebertaV2Config splits it.
std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream stream(text);
  for (std::string name; std::getline(stream, name, '|');) {
    std::erase_if(name, [](unsigned char c) { return std::isspace(c) != 0; });
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    names.push_back(std::move(name));
  }
  return names;
}

EncoderActivation read_activation(const ConfigReader& reader, std::string_view key,
                                  std::string_view fallback) {
  const std::string name = reader.text_or(key, fallback);
  if (name == "gelu" || name == "gelu_python") return EncoderActivation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return EncoderActivation::kGeluTanh;
  if (name == "relu") return EncoderActivation::kRelu;
  if (name == "tanh") return EncoderActivation::kTanh;
  reader.fail(key, "other activations are not implemented",
              "\"gelu\", \"gelu_new\", \"relu\" or \"tanh\"");
}

void read_terms(const ConfigReader& reader, RelativeAttention& relative) {
  const bool is_text = reader.is_text("pos_att_type");
  const std::vector<std::string> names =
      is_text ? split_names(reader.text_or("pos_att_type", "")) : reader.texts("pos_att_type");
  for (const std::string& name : names) {
    if (name == "c2p") {
      relative.content_to_position = true;
    } else if (name == "p2c") {
      relative.position_to_content = true;
    } else if (!name.empty() && name != "none") {
      reader.fail("pos_att_type", fmt::format("'{}' is not implemented", name),
                  "c2p and p2c, in a list or as \"c2p|p2c\"");
    }
  }
}

/// A count that -1 and 0 switch off.
std::int64_t read_count(const ConfigReader& reader, std::string_view key) {
  return std::max<std::int64_t>(reader.integer_or(key, -1, -1), 0);
}

RelativeAttention read_relative(const ConfigReader& reader, const DecoderConfig& config) {
  RelativeAttention relative;
  read_terms(reader, relative);  // their number divides the logits even without a table
  if (!reader.boolean("relative_attention", false)) return relative;
  relative.max_position = read_count(reader, "max_relative_positions");
  if (relative.max_position == 0) relative.max_position = config.max_positions;
  relative.buckets = read_count(reader, "position_buckets");
  constexpr std::int64_t kFewestBuckets = 4;  // half of them less one is divided by
  if (relative.buckets > 0 &&
      (relative.buckets < kFewestBuckets || relative.max_position - 1 <= relative.buckets / 2)) {
    reader.fail("position_buckets", "",
                fmt::format("-1, or at least {} and less than twice the {} relative positions",
                            kFewestBuckets, relative.max_position));
  }
  relative.span = relative.buckets > 0 ? relative.buckets : relative.max_position;
  relative.shares_content_weights = reader.boolean("share_att_key", false);
  return relative;
}

/// Whether the table has a LayerNorm of its own, which is stored with or without a table.
bool read_table_norm(const ConfigReader& reader) {
  const std::vector<std::string> norms = split_names(reader.text_or("norm_rel_ebd", "none"));
  for (const std::string& name : norms) {
    if (name != "layer_norm" && name != "none" && !name.empty())
      reader.fail("norm_rel_ebd", "", "\"layer_norm\" or \"none\"");
  }
  return std::ranges::count(norms, "layer_norm") > 0;
}

EncoderConvolution read_convolution(const ConfigReader& reader) {
  EncoderConvolution convolution;
  convolution.taps = read_count(reader, "conv_kernel_size");
  if (convolution.taps == 0) return convolution;
  if (convolution.taps % 2 == 0)
    reader.fail("conv_kernel_size", "its output would be shorter than its input", "an odd number");
  if (reader.integer_or("conv_groups", 1, 1) != 1)
    reader.fail("conv_groups", "groups are not implemented", "1");
  convolution.activation = read_activation(reader, "conv_act", "tanh");
  return convolution;
}

/// Fails unless a width that transformers lets a config change is the one that its layers need.
void require_width(const ConfigReader& reader, std::string_view key, std::int64_t width) {
  if (reader.integer_or(key, width, 1) != width)
    reader.fail(key, "transformers' own layers do not fit together then", std::to_string(width));
}

void read_deberta_v2(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {});
  require_settings(reader, {"max_position_embeddings"});
  require_width(reader, "attention_head_size", config.head_dim);
  require_width(reader, "pooler_hidden_size", config.hidden_size);
  require_width(reader, "num_key_value_heads", config.num_heads);
  EncoderConfig encoder;
  encoder.embedding_width = reader.integer_or("embedding_size", config.hidden_size, 1);
  encoder.num_token_types = reader.integer_or("type_vocab_size", 0, 0);
  if (encoder.num_token_types == 1)
    reader.fail("type_vocab_size", "a pair of texts has two types", "0, or at least 2");
  encoder.has_positions = reader.boolean("position_biased_input", true);
  encoder.relative = read_relative(reader, config);
  encoder.relative.norms_table = read_table_norm(reader);
  encoder.convolution = read_convolution(reader);
  encoder.norm_eps = reader.positive_or("layer_norm_eps", 1e-7);
  encoder.activation = read_activation(reader, "hidden_act", "gelu");
  encoder.pooler_activation = read_activation(reader, "pooler_hidden_act", "gelu");
  config.encoder = encoder;
  if (!reader.mentions("pad_token_id")) config.pad_token_id = 0;  // DebertaV2Config's default
}

constexpr WeightNames kNames{.embedding = "deberta.embeddings.word_embeddings.weight",
                             .block_prefix = "deberta.encoder.layer.",
                             .block_slots = {},
                             .final_norm = {},
                             // absolute positions and their numbers, where they are not used
                             .ignored_prefix = "deberta.embeddings.position_"};

}  // namespace

const Family kDebertaV2{.model_type = "deberta-v2",
                        .sequence_classifier = "DebertaV2ForSequenceClassification",
                        .causal_lm = {},
                        .read_config = read_deberta_v2,
                        .names = &kNames};

}  // namespace charm::engine
