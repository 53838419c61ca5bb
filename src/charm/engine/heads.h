#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/engine/model_config.h"

namespace charm::engine {

class ConfigReader;
struct HeadEvidence;

/// Names and shape of one layer of a head in the checkpoint; a bias has as many elements as the
/// weight has rows.
struct HeadLayerShape {
  std::string weight;               ///< tensor name
  std::string bias;                 ///< tensor name; empty: none
  std::vector<std::int64_t> shape;  ///< of the weight
  std::int64_t row = -1;            ///< of a stored [V, D] weight; -1: all of it
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
  bool by_tensors;        ///< its settings are read from the stored tensors
  void (*read_config)(const ConfigReader& reader, const HeadEvidence& evidence,
                      DecoderConfig& config);
  std::vector<HeadLayerShape> (*layers)(const DecoderConfig& config);
};

/// A stored tensor outside of the blocks.
struct HeadTensor {
  std::vector<std::int64_t> shape;
  std::string file;           ///< that holds it
  bool from_adapter = false;  ///< only the adapter has it
};

/// What says which head a model has besides its config.json.
struct HeadEvidence {
  std::map<std::string, HeadTensor> tensors{};
  std::optional<std::int32_t> logit_id{};  ///< --head lm-logit:ID
  std::string folder{};                    ///< its path
};

/// The head of a kind other than kNone.
const Head& head_of(HeadKind kind);

/// Looks up a head by architecture name, with what else a config says of its kind, or by a causal
/// LM's config; nullptr when there is none.
const Head* find_head(std::string_view architecture);
const Head* find_head(const ConfigReader& reader, std::string_view architecture);
const Head* find_marked_head(const ConfigReader& reader);

/// The head of a causal LM whose config says nothing of one: by the options, or by the stored
/// tensors. Sets what else `config` says about it. nullptr when there is none.
const Head* find_stored_head(const ConfigReader& reader, const HeadEvidence& evidence,
                             DecoderConfig& config);

/// The architectures of `find_head`.
std::vector<std::string_view> head_architectures();

/// Throws kInput when the architecture is a known reward model with an unsupported head.
void refuse_known_head(const ConfigReader& reader, std::string_view architecture);

}  // namespace charm::engine
