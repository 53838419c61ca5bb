#pragma once

#include <filesystem>
#include <string>

#include "charm/model/decoder_weights.h"

namespace charm::model::testing_support {

/// A temporary folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// config.json of a tiny Llama reward model, transformers 4 spelling, with `extra` ("\"key\":
/// value, ...") overriding.
std::string tiny_config(const std::string& extra = "");

/// Writes config.json and model.safetensors of a tiny random reward model; returns its weights.
DecoderWeights write_tiny_model(const std::filesystem::path& folder, const std::string& config_json,
                                std::uint64_t seed = 1);

}  // namespace charm::model::testing_support
