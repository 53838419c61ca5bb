#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "charm/model/model_config.h"

namespace charm::model {

class ConfigReader;

/// One linear layer of a head as the files store it: "<name>.weight" and, with a bias,
/// "<name>.bias".
struct HeadLayerShape {
  std::string name;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  bool bias = false;
};

/// A kind of reward head as data. The next one is another entry of the table in heads.cpp.
struct Head {
  HeadKind kind;
  std::string_view name;          ///< for files
  std::string_view title;         ///< for people
  std::string_view architecture;  ///< of config.json; empty: the families' own names
  /// Beside `architecture`, a setting whose presence in a causal LM's config.json means this head;
  /// empty: none.
  std::string_view mark;
  bool pools_last_token;  ///< reads the last token even where it is the pad token
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
