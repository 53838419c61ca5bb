#include "charm/model/rope_config.h"

#include "charm/model/config_reader.h"

namespace charm::model {
namespace {

// transformers 5.17, configuration_utils: a Llama config without rope_theta means this.
constexpr double kDefaultTheta = 10000.0;

void read_llama3(const ConfigReader& scaling, RopeConfig& rope) {
  rope.low_freq_factor = scaling.positive("low_freq_factor");
  rope.high_freq_factor = scaling.positive("high_freq_factor");
  rope.original_max_position_embeddings = scaling.integer("original_max_position_embeddings", 1);
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    scaling.fail("high_freq_factor", "", "a number above low_freq_factor");
  }
}

void read_scaling(const ConfigReader& scaling, RopeConfig& rope) {
  if (scaling.present("partial_rotary_factor") &&
      scaling.positive("partial_rotary_factor") != 1.0) {
    scaling.fail("partial_rotary_factor", "rotating part of a head is not supported", "1.0");
  }
  // "type" is the older spelling of "rope_type"; both may stand side by side.
  const std::string_view key = scaling.present("rope_type") ? "rope_type" : "type";
  const std::string kind = scaling.text_or(key, "default");
  if (kind == "default") return;
  if (kind != "linear" && kind != "llama3") scaling.fail(key, "", "one of default, linear, llama3");
  rope.factor = scaling.positive("factor");
  rope.kind = kind == "linear" ? RopeKind::kLinear : RopeKind::kLlama3;
  if (rope.kind == RopeKind::kLlama3) read_llama3(scaling, rope);
}

}  // namespace

RopeConfig read_rope(const ConfigReader& reader) {
  RopeConfig rope;
  rope.theta = reader.positive_or("rope_theta", kDefaultTheta);
  if (reader.present("rope_scaling") && reader.present("rope_parameters")) {
    reader.fail("rope_scaling", "the file holds rope_parameters too, and only one can be meant",
                "null");
  }
  if (reader.present("partial_rotary_factor") && reader.positive("partial_rotary_factor") != 1.0) {
    reader.fail("partial_rotary_factor", "rotating part of a head is not supported", "1.0");
  }
  if (reader.present("rope_scaling")) read_scaling(reader.object("rope_scaling"), rope);
  if (reader.present("rope_parameters")) {
    const ConfigReader parameters = reader.object("rope_parameters");
    rope.theta = parameters.positive_or("rope_theta", rope.theta);
    read_scaling(parameters, rope);
  }
  return rope;
}

}  // namespace charm::model
