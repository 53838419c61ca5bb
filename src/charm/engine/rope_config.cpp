#include <algorithm>
#include <cmath>

#include "charm/engine/config_reader.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

constexpr std::string_view kRopeSettings[] = {"rope_type",
                                              "type",
                                              "rope_theta",
                                              "factor",
                                              "low_freq_factor",
                                              "high_freq_factor",
                                              "original_max_position_embeddings",
                                              "beta_fast",
                                              "beta_slow",
                                              "truncate",
                                              "mscale",
                                              "mscale_all_dim",
                                              "attention_factor",
                                              "short_factor",
                                              "long_factor",
                                              "partial_rotary_factor",
                                              "finetuned"};  // informational

/// standardize_rope_params: the top-level key (Phi-3) takes precedence over the one in the rope
/// settings, then max_position_embeddings.
std::int64_t original_positions(const ConfigReader& reader, const ConfigReader& scaling) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  if (reader.present(kKey)) return reader.integer(kKey, 1);
  return scaling.integer_or(kKey, reader.integer("max_position_embeddings", 1), 1);
}

void read_llama3(const ConfigReader& reader, const ConfigReader& scaling, RopeConfig& rope) {
  rope.low_freq_factor = scaling.positive("low_freq_factor");
  rope.high_freq_factor = scaling.positive("high_freq_factor");
  rope.original_max_position_embeddings = original_positions(reader, scaling);
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    scaling.fail("high_freq_factor", "", "a number above low_freq_factor");
  }
}

// _compute_yarn_parameters, get_mscale: scale of cos and sin.
double yarn_scale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

/// Context extension: max_position_embeddings over the original length.
double context_extension(const ConfigReader& reader, const RopeConfig& rope) {
  return static_cast<double>(reader.integer("max_position_embeddings", 1)) /
         static_cast<double>(rope.original_max_position_embeddings);
}

void read_yarn(const ConfigReader& reader, const ConfigReader& scaling, RopeConfig& rope) {
  rope.original_max_position_embeddings = original_positions(reader, scaling);
  rope.factor = scaling.positive_or("factor", context_extension(reader, rope));
  rope.beta_fast = scaling.positive_or("beta_fast", 32.0);
  rope.beta_slow = scaling.positive_or("beta_slow", 1.0);
  if (rope.beta_fast < rope.beta_slow)
    scaling.fail("beta_fast", "", "a number not below beta_slow");
  rope.truncate = scaling.boolean("truncate", true);
  const bool scaled_apart = scaling.present("mscale") && scaling.present("mscale_all_dim");
  const double by_default = scaled_apart
                                ? yarn_scale(rope.factor, scaling.positive("mscale")) /
                                      yarn_scale(rope.factor, scaling.positive("mscale_all_dim"))
                                : yarn_scale(rope.factor, 1.0);
  rope.attention_factor = scaling.positive_or("attention_factor", by_default);
}

// _compute_longrope_parameters.
void read_longrope(const ConfigReader& reader, const ConfigReader& scaling, RopeConfig& rope) {
  rope.short_factor = scaling.positives("short_factor");
  rope.long_factor = scaling.positives("long_factor");
  rope.original_max_position_embeddings = original_positions(reader, scaling);
  rope.factor = scaling.positive_or("factor", context_extension(reader, rope));
  const double original = static_cast<double>(rope.original_max_position_embeddings);
  const double by_default =
      rope.factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(rope.factor) / std::log(original));
  if (!std::isfinite(by_default))
    scaling.fail("original_max_position_embeddings", "", "a number above 1");
  rope.attention_factor = scaling.positive_or("attention_factor", by_default);
}

/// The one among the rope settings wins over the one at top level.
void read_partial_factor(const ConfigReader& settings, const RopeReading& reading,
                         RopeConfig& rope) {
  constexpr std::string_view kKey = "partial_rotary_factor";
  if (!settings.present(kKey)) return;
  rope.partial_factor = settings.positive(kKey);
  if (rope.partial_factor > 1.0) settings.fail(kKey, "", "a number in (0, 1]");
  if (rope.partial_factor != 1.0 && !reading.partial)
    settings.fail(kKey, "a model of this type has no partial rotary embedding", "1.0");
}

void read_scaling(const ConfigReader& reader, const ConfigReader& scaling,
                  const RopeReading& reading, RopeConfig& rope) {
  for (const std::string& key : scaling.keys()) {
    if (reading.multimodal && key.starts_with("mrope_")) continue;
    if (std::find(std::begin(kRopeSettings), std::end(kRopeSettings), key) ==
        std::end(kRopeSettings)) {
      scaling.fail(key, "a rope setting that is not supported", "nothing");
    }
  }
  read_partial_factor(scaling, reading, rope);
  // "type" is the older spelling of "rope_type"; both may be present.
  const std::string_view key = scaling.present("rope_type") ? "rope_type" : "type";
  std::string kind = scaling.text_or(key, "default");
  if (reading.phi3_names && (kind == "su" || kind == "yarn")) kind = "longrope";
  const std::int64_t max_positions = reader.integer("max_position_embeddings", 1);
  if (kind == "default") return;
  if (kind == "linear") {
    rope.kind = RopeKind::kLinear;
  } else if (kind == "llama3") {
    rope.kind = RopeKind::kLlama3;
    read_llama3(reader, scaling, rope);
  } else if (kind == "dynamic") {
    rope.kind = RopeKind::kDynamic;
    rope.original_max_position_embeddings = max_positions;
  } else if (kind == "yarn") {
    rope.kind = RopeKind::kYarn;
    read_yarn(reader, scaling, rope);
    return;
  } else if (kind == "longrope") {
    rope.kind = RopeKind::kLongRope;
    read_longrope(reader, scaling, rope);
    return;
  } else {
    scaling.fail(key, "", "one of default, linear, dynamic, yarn, longrope, llama3");
  }
  rope.factor = scaling.positive("factor");
  if (rope.kind == RopeKind::kDynamic && rope.factor < 1.0)
    scaling.fail("factor", "", "a number from 1 up");
}

}  // namespace

RopeConfig read_rope(const ConfigReader& reader, const RopeReading& reading) {
  RopeConfig rope;
  rope.partial_factor = reading.default_partial;
  read_partial_factor(reader, reading, rope);
  rope.theta = reader.positive_or("rope_theta", reading.default_theta);
  // transformers 5.17: rope_scaling beats rope_parameters, and a theta inside either the outer one.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!reader.present(key)) continue;
    const ConfigReader scaling = reader.object(key);
    rope.theta = scaling.positive_or("rope_theta", rope.theta);
    read_scaling(reader, scaling, reading, rope);
    break;
  }
  return rope;
}

RopeConfig read_layer_rope(const ConfigReader& reader, const LayerRopeKeys& keys) {
  if (reader.present("rope_scaling") && reader.present("rope_parameters")) {
    reader.fail("rope_scaling", "rope_parameters is present too; only one may be set", "null");
  }
  RopeConfig rope;
  read_partial_factor(reader, {}, rope);
  rope.theta = reader.positive_or(keys.theta_key, keys.default_theta);
  std::string_view place = "rope_scaling";
  if (keys.scaled && reader.present("rope_scaling")) {
    const ConfigReader scaling = reader.object("rope_scaling");
    rope.theta = scaling.positive_or("rope_theta", rope.theta);
    read_scaling(reader, scaling, {}, rope);
  }
  if (reader.present("rope_parameters")) {
    const ConfigReader parameters = reader.object("rope_parameters");
    for (const std::string& key : parameters.keys()) {
      if (key != "full_attention" && key != "sliding_attention") {
        parameters.fail(key, "this model keeps one object for each kind of layer",
                        "full_attention and sliding_attention only");
      }
    }
    if (parameters.present(keys.layers)) {
      const ConfigReader own = parameters.object(keys.layers);
      rope.theta = own.positive_or("rope_theta", rope.theta);
      read_scaling(reader, own, {}, rope);
    }
    place = "rope_parameters";
  }
  if (rope.kind == RopeKind::kDynamic || rope.kind == RopeKind::kLongRope)
    reader.fail(place, "length-dependent RoPE is not supported where layers differ in RoPE",
                "another kind");
  if (!rope.truncate) {
    reader.fail(place,
                "transformers (5.17 and 5.24) does not read truncate where layers differ in RoPE, "
                "so its scores are those of true",
                "truncate true");
  }
  return rope;
}

}  // namespace charm::engine
