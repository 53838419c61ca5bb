#pragma once

#include <filesystem>
#include <string>

#include "charm/engine/decoder_weights.h"

namespace charm::engine::testing_support {

/// config.json of a tiny Llama reward model, transformers 4 spelling, with `extra` ("\"key\":
/// value, ...") overriding.
std::string tiny_config(const std::string& extra = "");

/// config.json of a two-layer model of the given family; `extra` is appended.
std::string config_text(const std::string& architecture, const std::string& type,
                        const std::string& extra);

/// `config_text` as a config.
DecoderConfig read(const std::string& architecture, const std::string& type,
                   const std::string& extra = "");

/// Why `config_text`, as m/config.json, is refused; empty: it is not.
std::string failure(const std::string& architecture, const std::string& type,
                    const std::string& extra = "");

/// Writes config.json and model.safetensors of a tiny random reward model; returns its weights.
DecoderWeights write_tiny_model(const std::filesystem::path& folder, const std::string& config_json,
                                std::uint64_t seed = 1);

}  // namespace charm::engine::testing_support
