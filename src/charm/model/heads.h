#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/model/model_config.h"

namespace charm::model {

class ConfigReader;

/// One layer of a head as the files store it: a tensor and, where it has one, a bias of as many
/// elements as the tensor has rows.
struct HeadLayerShape {
  std::string weight;               ///< its name
  std::string bias;                 ///< its name; empty: none
  std::vector<std::int64_t> shape;  ///< of the weight
};

/// A kind of reward head as data. The next one is another entry of the table in heads.cpp.
struct Head {
  HeadKind kind;
  std::string_view name;   ///< for files
  std::string_view title;  ///< for people
  std::span<const std::string_view>
      architectures;  ///< of config.json; empty: the families' own names
  /// Beside `architectures`, a setting whose presence in a causal LM's config.json means this head;
  /// empty: none.
  std::string_view mark;
  bool pools_last_token;  ///< reads the last token even where it is the pad token
  bool trains;            ///< whether charm train takes it
  void (*read_config)(const ConfigReader& reader, DecoderConfig& config);
  std::vector<HeadLayerShape> (*layers)(const DecoderConfig& config);
};

/// The head of a kind other than kNone.
const Head& head_of(HeadKind kind);

/// The head that goes with an architecture's name, or with a causal LM's config; nullptr when none
/// does.
const Head* find_head(std::string_view architecture);
const Head* find_marked_head(const ConfigReader& reader);

/// The architectures that `find_head` knows.
std::vector<std::string_view> head_architectures();

/// Throws kInput when the architecture is a known reward model whose head we cannot compute.
void refuse_known_head(const ConfigReader& reader, std::string_view architecture);

}  // namespace charm::model
