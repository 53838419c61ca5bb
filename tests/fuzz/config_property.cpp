#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/engine/model_config.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {
namespace {

using engine::DecoderConfig;
using engine::parse_model_config;

void check_rope(const engine::RopeConfig& rope) {
  for (const double value : {rope.theta, rope.factor, rope.attention_factor}) {
    require(std::isfinite(value) && value > 0, "rope settings are positive numbers");
  }
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
    nlohmann::json json = nlohmann::json::parse(bytes);
    require(parse_model_config(json.dump(), "config.json") == config,
            "key order and number formatting do not matter");
    json["transformers_version"] = "5.17.0";
    json["_name_or_path"] = "elsewhere";
    require(parse_model_config(json.dump(2), "config.json") == config, "unused keys do not matter");
  });
}

}  // namespace charm::fuzz
