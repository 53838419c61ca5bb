#include "charm/engine/model_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/engine/config_reader.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/wrapper.h"
#include "charm/engine/heads.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json parse_object(const std::string& text, const std::string& name) {
  json parsed = parse_json(text, name);
  if (!parsed.is_object())
    throw Error(ErrorKind::kInput, "{}: is a JSON {}, expected an object", name,
                parsed.type_name());
  return parsed;
}

std::string known_architectures() {
  std::vector<std::string_view> names;
  for (const Family* family : all_families()) {
    names.push_back(family->sequence_classifier);
    if (!family->causal_lm.empty()) names.push_back(family->causal_lm);
  }
  for (const std::string_view architecture : wrapper_architectures()) names.push_back(architecture);
  for (const std::string_view architecture : head_architectures()) names.push_back(architecture);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The family of the single architecture; a head's own architecture takes the family from
/// model_type.
const Family& family_of(const ConfigReader& reader) {
  const std::vector<std::string> architectures = reader.texts("architectures");
  if (architectures.size() != 1) {
    reader.fail("architectures", "", fmt::format("a list of one of {}", known_architectures()));
  }
  refuse_known_head(reader, architectures.front());
  if (find_head(architectures.front()) != nullptr) {
    const std::string type = reader.text_or("model_type", "");
    for (const Family* family : all_families()) {
      if (type == family->model_type) return *family;
    }
    reader.fail("model_type", "", "the model_type of a known family");
  }
  const Family* family = find_family(architectures.front());
  if (family == nullptr) {
    throw Error(ErrorKind::kInput, "{}: unknown architecture '{}'; known are {}", reader.file(),
                architectures.front(), known_architectures());
  }
  const std::string model_type = reader.text_or("model_type", family->model_type);
  if (model_type != family->model_type) {
    reader.fail("model_type", fmt::format("architecture {} says otherwise", architectures.front()),
                fmt::format("\"{}\"", family->model_type));
  }
  return *family;
}

/// Rejects remote code and quantised checkpoints.
void refuse_unsupported(const ConfigReader& reader, bool is_implemented) {
  const bool names_code = reader.present("auto_map") && reader.size_of("auto_map") != 0;
  if (names_code && !is_implemented) {
    reader.fail("auto_map", "remote code is never executed", "nothing");
  }
  if (reader.present("quantization_config")) {
    reader.fail("quantization_config",
                "quantised checkpoints are refused; use the float32, float16 or bfloat16 weights",
                "nothing");
  }
}

/// The head the config asks for, with its settings.
void read_head(const ConfigReader& reader, const Head& head, const HeadEvidence& evidence,
               DecoderConfig& config) {
  config.head = head.kind;
  head.read_config(reader, evidence, config);
  if (head.pools_last_token) config.pad_token_id = -1;
}

/// num_labels as in transformers 5: num_labels where present, otherwise from id2label, otherwise 2.
void require_one_label(const ConfigReader& reader) {
  constexpr std::string_view kWhy = "a reward model has one label, because its score is one number";
  if (reader.present("num_labels")) {
    if (reader.integer("num_labels", 1) != 1) reader.fail("num_labels", kWhy, "1");
    return;
  }
  const std::int64_t named = reader.size_of("id2label");
  if (named == -1) {
    reader.fail("num_labels",
                "neither it nor id2label is there, which transformers reads as 2 labels", "1");
  }
  if (named != 1) reader.fail("id2label", kWhy, "one entry");
}

void read_tokens(const ConfigReader& reader, DecoderConfig& config) {
  config.eos_token_ids = reader.token_ids("eos_token_id");
  const std::vector<std::int32_t> bos = reader.token_ids("bos_token_id");
  if (!bos.empty()) config.bos_token_id = bos.front();
  const std::vector<std::int32_t> pad = reader.token_ids("pad_token_id");
  if (pad.size() > 1) reader.fail("pad_token_id", "", "one token id");
  config.pad_token_id = pad.empty() ? -1 : pad.front();
}

/// As transformers 5.17, where torch.nn.Embedding refuses such a padding_idx when the model is
/// made.
void require_pad_in_vocabulary(const ConfigReader& reader, const DecoderConfig& config) {
  if (config.pad_token_id < config.vocab_size) return;
  const std::string otherwise =
      reader.present("pad_token_id")
          ? ""
          : fmt::format(" ({} is the default of {})", config.pad_token_id, config.model_type);
  reader.fail("pad_token_id",
              "a token id of the model, or null where there is no such token" + otherwise,
              fmt::format("less than vocab_size ({})", config.vocab_size));
}

/// `dtype` (transformers 5) or `torch_dtype`: a name, or an object of names by part of the model,
/// of which "" is the rest. It says what is saved; weights are read as they are stored.
std::string stored_dtype(const ConfigReader& reader, const json& config) {
  const char* key = reader.present("dtype") ? "dtype" : "torch_dtype";
  const auto found = config.find(key);
  if (found == config.end() || !found->is_object()) return reader.text_or(key, "");
  return ConfigReader(*found, reader.file(), std::string(key) + ".").text_or("", "");
}

// Far above any published model.
constexpr std::int64_t kMostLayers = 4096;

void read_sizes(const ConfigReader& reader, const Family& family, DecoderConfig& config) {
  config.vocab_size = reader.integer("vocab_size", 1);
  config.hidden_size = reader.integer("hidden_size", 1);
  config.intermediate_size = reader.integer("intermediate_size", 1);
  config.num_layers = reader.integer("num_hidden_layers", 1, kMostLayers);
  config.num_heads = reader.integer("num_attention_heads", 1);
  config.num_kv_heads = reader.integer_or("num_key_value_heads", config.num_heads, 1);
  if (config.num_heads % config.num_kv_heads != 0) {
    reader.fail("num_key_value_heads", "",
                fmt::format("a divisor of num_attention_heads ({})", config.num_heads));
  }
  const bool by_division = family.default_head_dim == 0;
  if (!reader.present("head_dim") && by_division && config.hidden_size % config.num_heads != 0) {
    reader.fail(
        "head_dim",
        "hidden_size is no multiple of num_attention_heads, so the head width must be given",
        "a positive number");
  }
  const std::int64_t usual =
      by_division ? config.hidden_size / config.num_heads : family.default_head_dim;
  config.head_dim = reader.integer_or("head_dim", usual, 2);
  if (config.head_dim % 2 != 0) reader.fail("head_dim", "RoPE pairs its halves", "an even number");
  config.max_positions = reader.integer("max_position_embeddings", 1);
  config.rms_norm_eps = reader.positive_or("rms_norm_eps", 1e-6);
  if (reader.present("initializer_range"))
    config.initializer_range = reader.number("initializer_range");
  config.tie_word_embeddings = reader.boolean("tie_word_embeddings", false);
}

/// RoPE pairs the two halves of the rotated values.
void require_pairs(const ConfigReader& reader, const DecoderConfig& config) {
  const std::int64_t rotated = rotary_dim(config, config.rope);
  if (rotated >= 2 && rotated % 2 == 0) return;
  reader.fail("partial_rotary_factor",
              fmt::format("{} of the {} values of a head", rotated, config.head_dim),
              "an even number of values");
}

/// longrope has one factor per pair of a head.
void require_factors(const ConfigReader& reader, const DecoderConfig& config) {
  const auto pairs = static_cast<std::size_t>(rotary_dim(config, config.rope) / 2);
  if (config.rope.short_factor.size() == pairs && config.rope.long_factor.size() == pairs) return;
  reader.fail(reader.present("rope_parameters") ? "rope_parameters" : "rope_scaling",
              fmt::format("short_factor has {} entries and long_factor {}",
                          config.rope.short_factor.size(), config.rope.long_factor.size()),
              fmt::format("{} each, half of the rotated values of a head", pairs));
}

/// The extended context length: config.json's max_position_embeddings may be the original one (YaRN
/// of Qwen2.5, linear of Vicuna). As vLLM's config/model.py derives it; models with a RoPE per kind
/// of layer state the extended one.
std::int64_t context_length(const DecoderConfig& config) {
  constexpr double kMost = std::numeric_limits<std::int32_t>::max();
  const bool grows = config.rope.kind == RopeKind::kDynamic ||
                     config.rope.kind == RopeKind::kLinear || config.rope.kind == RopeKind::kYarn;
  if (!grows || config.local_rope) return config.max_positions;
  const std::int64_t original = config.rope.kind == RopeKind::kYarn
                                    ? config.rope.original_max_position_embeddings
                                    : config.max_positions;
  const double extended = std::min(config.rope.factor * static_cast<double>(original), kMost);
  return std::max(config.max_positions, static_cast<std::int64_t>(extended));
}

}  // namespace

std::int64_t rotary_dim(const DecoderConfig& config, const RopeConfig& rope) {
  const std::int64_t width = rope.head_dim > 0 ? rope.head_dim : config.head_dim;
  return static_cast<std::int64_t>(static_cast<double>(width) * rope.partial_factor);
}

bool is_global(const DecoderConfig& config, std::size_t layer) {
  return config.windows.empty() || config.windows.at(layer) == 0;
}

std::int64_t num_kv_heads(const DecoderConfig& config, std::size_t layer) {
  return config.global_layers && is_global(config, layer) ? config.global_layers->num_kv_heads
                                                          : config.num_kv_heads;
}

std::int64_t head_dim(const DecoderConfig& config, std::size_t layer) {
  return config.global_layers && is_global(config, layer) ? config.global_layers->head_dim
                                                          : config.head_dim;
}

bool shares_kv(const DecoderConfig& config, std::size_t layer) {
  return config.num_shared_kv_layers > 0 &&
         static_cast<std::int64_t>(layer) >= config.num_layers - config.num_shared_kv_layers;
}

bool lends_kv(const DecoderConfig& config, std::size_t layer) {
  if (config.num_shared_kv_layers == 0 || shares_kv(config, layer)) return false;
  for (std::size_t next = layer + 1; !shares_kv(config, next); ++next) {
    if (is_global(config, next) == is_global(config, layer)) return false;
  }
  return true;
}

std::int64_t mlp_width(const DecoderConfig& config, std::size_t layer) {
  const bool is_double = config.shared_kv_mlps_are_double && shares_kv(config, layer);
  return config.intermediate_size * (is_double ? 2 : 1);
}

std::int64_t mlp_values_per_token(const DecoderConfig& config) {
  if (!config.experts) return config.intermediate_size * (config.shared_kv_mlps_are_double ? 2 : 1);
  const std::int64_t of_experts =
      config.experts->routing.experts_per_token * (config.experts->width + config.hidden_size);
  return config.experts->dense_layers.empty() ? of_experts
                                              : std::max(config.intermediate_size, of_experts);
}

NormConfig norm_config(const DecoderConfig& config) {
  return {.eps = config.rms_norm_eps, .weight_offset = config.norms_add_one ? 1.0 : 0.0};
}

AttentionConfig attention_config(const DecoderConfig& config, std::size_t layer) {
  return {.scale = config.attention_scale,
          .window = config.windows.empty() ? 0 : config.windows.at(layer),
          .softcap = config.attention_softcap};
}

std::size_t rope_index(const DecoderConfig& config, std::size_t layer) {
  return attention_config(config, layer).window > 0 && config.local_rope ? 1 : 0;
}

bool has_experts(const DecoderConfig& config, std::size_t layer) {
  if (!config.experts) return false;
  const std::vector<std::int64_t>& dense = config.experts->dense_layers;
  return std::find(dense.begin(), dense.end(), static_cast<std::int64_t>(layer)) == dense.end();
}

bool has_delta_net(const DecoderConfig& config, std::size_t layer) {
  return config.delta_net &&
         std::ranges::count(config.delta_net->layers, static_cast<std::int64_t>(layer)) > 0;
}

bool scores_alone(const DecoderConfig& config) {
  return config.delta_net || config.global_layers || config.encoder;
}

namespace {

const char* layers_that_score(const DecoderConfig& config) {
  if (config.encoder) return "bidirectional encoders";
  return config.delta_net ? "layers of linear attention (gated delta net)"
                          : "layers of a gemma4_text model";
}

}  // namespace

void require_more_than_scores(const DecoderConfig& config, std::string_view task,
                              std::string_view instead) {
  if (!scores_alone(config)) return;
  throw Error(ErrorKind::kInput,
              "{}: {} is not supported for {}, which are computed for scoring, on the CPU; {}",
              config.architecture, task, layers_that_score(config), instead);
}

DecoderConfig parse_model_config(const std::string& json_text, const std::string& name,
                                 const HeadEvidence& evidence) {
  json parsed = parse_object(json_text, name);
  const Wrapper* wrapper = find_wrapper(ConfigReader(parsed, name).text_or("model_type", ""));
  if (wrapper != nullptr) parsed = unwrapped_config(*wrapper, parsed, name);
  const ConfigReader reader(parsed, name);
  const Family& family = family_of(reader);

  DecoderConfig config;
  if (wrapper != nullptr) config.wrapper = wrapper->model_type;
  config.architecture = reader.texts("architectures").front();
  config.model_type = family.model_type;
  const Head* head = find_head(reader, config.architecture);
  if (config.architecture == family.causal_lm) head = find_marked_head(reader);
  refuse_unsupported(reader, /*is_implemented=*/head != nullptr || family.has_published_code);
  if (config.architecture == family.sequence_classifier) {
    require_one_label(reader);
    head = &head_of(HeadKind::kLinear);
  }
  read_sizes(reader, family, config);
  read_tokens(reader, config);
  config.stored_dtype = stored_dtype(reader, parsed);
  family.read_config(reader, config);
  require_pad_in_vocabulary(reader, config);
  if (config.encoder) head = &head_of(HeadKind::kPooler);
  if (head == nullptr) {
    head = find_stored_head(reader, evidence, config);
    if (head != nullptr && head->kind == HeadKind::kLinear)
      config.architecture = family.sequence_classifier;
  } else if (evidence.logit_id) {
    throw Error(ErrorKind::kUsage,
                "--head lm-logit:{}: {} is a {} with a head of its own; the option is for causal "
                "language models",
                *evidence.logit_id, name, config.architecture);
  }
  if (head != nullptr) read_head(reader, *head, evidence, config);
  require_pairs(reader, config);
  if (config.rope.kind == RopeKind::kLongRope) require_factors(reader, config);
  config.max_positions = context_length(config);
  return config;
}

DecoderConfig parse_model_config(const std::string& json_text, const std::string& name) {
  return parse_model_config(json_text, name, {});
}

}  // namespace charm::engine
