#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "charm/engine/families/family.h"

// Multimodal wrappers: a text model with towers for images beside it. Only their text side is
// loaded, and saved as the text model it is (decision 0084).
namespace charm::engine {

/// A leading part of tensor names, and what stands for it in the text model.
struct PrefixChange {
  std::string_view from, to;
};

/// One kind of wrapper as data.
struct Wrapper {
  std::string_view model_type;           ///< config.json's model_type
  std::string_view sequence_classifier;  ///< architectures[0] of a reward model
  std::string_view generator;            ///< architectures[0] of a causal LM
  const Family* text;                    ///< the text side's family
  /// Settings of the text side's config class in transformers that published configs rely on, as a
  /// JSON object.
  std::string_view text_defaults;
  std::span<const PrefixChange> renamed;  ///< the first that fits counts
  std::span<const std::string_view>
      other_tensors;  ///< prefixes of tensors outside of the text side
};

/// The wrapper of a model_type; nullptr when it is none.
const Wrapper* find_wrapper(std::string_view model_type);

/// The architectures of all wrappers.
std::vector<std::string_view> wrapper_architectures();

/// The config.json of a wrapper's text side alone, as the text model's own. `config` has either
/// `text_config` or, older, the text side's settings at top level. Throws kInput, naming `file`,
/// where `text_config` is no object.
nlohmann::ordered_json unwrapped_config(const Wrapper& wrapper,
                                        const nlohmann::ordered_json& config,
                                        const std::string& file);

/// The name in the text model of a wrapper's tensor; none for tensors of its towers.
std::optional<std::string> unwrapped_name(const Wrapper& wrapper, std::string_view name);

}  // namespace charm::engine
