#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace charm {

/// A score without its texts, for measuring and calibrating. The key is (policy, prompt_id,
/// sample).
struct Score {
  std::string prompt_id;
  std::string policy;
  std::int32_t sample = 0;
  float score = 0.0f;
  std::optional<std::string> error;
};

/// The rows of one scores file and its name for messages.
struct ScoreFile {
  std::string name;
  std::vector<Score> rows;
  std::string prompt_id_type = {};  ///< as stored: "string", "int64"; empty: computed from prompts
};

}  // namespace charm
