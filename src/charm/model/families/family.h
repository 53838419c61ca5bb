#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "charm/model/weight_names.h"

namespace charm::model {

class ConfigReader;
struct DecoderConfig;

/// One architecture as data: which config.json it recognises, how that becomes a DecoderConfig, and
/// what its tensors are called. Adding a family is one file with one of these and one line in
/// registry.cpp.
struct Family {
  std::string_view model_type;           ///< config.json's model_type
  std::string_view sequence_classifier;  ///< architectures[0] of a reward model
  std::string_view causal_lm;            ///< architectures[0] of a model without a reward head
  /// Fills what is particular to the family and refuses, by name, settings the family does not
  /// have.
  void (*read_config)(const ConfigReader& reader, DecoderConfig& config);
  const WeightNames* names;
  std::int64_t default_head_dim =
      0;  ///< where config.json names none; 0: hidden_size / num_attention_heads
};

/// Every family the program knows.
std::span<const Family* const> all_families();

/// The family of an architecture's name; nullptr when none has it.
const Family* find_family(std::string_view architecture);

/// The family of a model_type that is known to be one of ours.
const Family& family_of_type(std::string_view model_type);

}  // namespace charm::model
