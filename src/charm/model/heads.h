#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/model/model_config.h"

namespace charm::model {

class ConfigReader;

/// Names and shape of one layer of a head in the checkpoint; a bias has as many elements as the
/// weight has rows.
struct HeadLayerShape {
  std::string weight;               ///< tensor name
  std::string bias;                 ///< tensor name; empty: none
  std::vector<std::int64_t> shape;  ///< of the weight
};

/// A kind of reward head as data: one entry of the table in heads.cpp.
struct Head {
  HeadKind kind;
  std::string_view name;   ///< in files
  std::string_view title;  ///< in messages and reports
  std::span<const std::string_view>
      architectures;  ///< of config.json; empty: the families' own architecture names
  /// Also selected by the presence of this setting in a causal LM's config.json; empty: none.
  std::string_view mark;
  bool pools_last_token;  ///< pools the last token even where it is the pad token
  bool trains;            ///< whether charm train supports it
  void (*read_config)(const ConfigReader& reader, DecoderConfig& config);
  std::vector<HeadLayerShape> (*layers)(const DecoderConfig& config);
};

/// The head of a kind other than kNone.
const Head& head_of(HeadKind kind);

/// Looks up a head by architecture name, or by a causal LM's config; nullptr when there is none.
const Head* find_head(std::string_view architecture);
const Head* find_marked_head(const ConfigReader& reader);

/// The architectures of `find_head`.
std::vector<std::string_view> head_architectures();

/// Throws kInput when the architecture is a known reward model with an unsupported head.
void refuse_known_head(const ConfigReader& reader, std::string_view architecture);

}  // namespace charm::model
