#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/model/model_config.h"
#include "tests/fuzz/accepts.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {
namespace {

using model::DecoderConfig;
using model::parse_model_config;

void check_rope(const model::RopeConfig& rope) {
  for (const double value : {rope.theta, rope.factor, rope.attention_factor}) {
    require(std::isfinite(value) && value > 0, "rope settings are positive numbers");
  }
}

std::string text_of(const model::RopeConfig& r) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {};", static_cast<int>(r.kind), r.theta, r.factor,
                     r.low_freq_factor, r.high_freq_factor, r.original_max_position_embeddings,
                     r.beta_fast, r.beta_slow, r.truncate, r.attention_factor);
}

/// All that a config says.
std::string text_of(const DecoderConfig& c) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} ", c.architecture,
                     c.model_type, c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers,
                     c.num_heads, c.num_kv_heads, c.head_dim, c.max_positions, c.rms_norm_eps,
                     c.attention_bias, c.mlp_bias, c.tie_word_embeddings,
                     static_cast<int>(c.activation), c.embedding_scale, c.norms_add_one,
                     c.attention_scale, c.attention_softcap, c.pad_token_id) +
         fmt::format("{} {} {} {} {} {} {} {} {}", fmt::join(c.windows, ","), text_of(c.rope),
                     c.local_rope ? text_of(*c.local_rope) : "", static_cast<int>(c.head),
                     c.head_num_hidden, c.head_hidden_width, fmt::join(c.eos_token_ids, ","),
                     c.bos_token_id.value_or(-1), c.initializer_range) +
         c.stored_dtype;
}

void check_sizes(const DecoderConfig& config) {
  for (const std::int64_t size :
       {config.vocab_size, config.hidden_size, config.intermediate_size, config.num_layers,
        config.num_heads, config.num_kv_heads, config.head_dim, config.max_positions}) {
    require(size > 0, "sizes are positive");
  }
  require(config.num_heads % config.num_kv_heads == 0 && config.head_dim % 2 == 0,
          "heads divide evenly");
  require(config.windows.empty() ||
              static_cast<std::int64_t>(config.windows.size()) == config.num_layers,
          "one window a layer");
  require(config.pad_token_id >= -1, "ids are not negative");
  check_rope(config.rope);
  if (config.local_rope) check_rope(*config.local_rope);
}

}  // namespace

bool config_property(std::string_view bytes) {
  return accepts([&] {
    const DecoderConfig config = parse_model_config(std::string(bytes), "config.json");
    check_sizes(config);
    const std::string said = text_of(config);
    nlohmann::json json = nlohmann::json::parse(bytes);
    require(text_of(parse_model_config(json.dump(), "config.json")) == said,
            "the order of keys and the spelling of values do not matter");
    json["transformers_version"] = "5.17.0";
    json["_name_or_path"] = "elsewhere";
    require(text_of(parse_model_config(json.dump(2), "config.json")) == said,
            "remarks do not matter");
  });
}

}  // namespace charm::fuzz
