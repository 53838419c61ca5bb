#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace charm::score {

/// What `manifest.json` of a score folder says of one policy's file. The manifest is shared by all
/// runs that score policies into the folder; each adds its own.
struct PolicyEntry {
  std::filesystem::path file;
  std::int64_t num_rows = 0;
  std::int64_t num_errors = 0;      ///< rows that carry an error instead of a score
  std::int64_t num_truncated = 0;   ///< rows cut to the length limit
  std::string fingerprint;          ///< of the options and of the inputs that its rows come from
  std::vector<std::string> inputs;  ///< paths among the manifest's inputs

  nlohmann::ordered_json to_json() const;
};

/// The entry of `file`; empty where `manifest` (null, or of an earlier version) has none with all
/// of its members.
std::optional<PolicyEntry> find_policy(const nlohmann::ordered_json& manifest,
                                       const std::filesystem::path& file);

/// `manifest` with the inputs of `file` only, as a run of its policy alone would write it. Null if
/// it has no entry of `file`, or one that was scored otherwise than `manifest` records.
nlohmann::ordered_json manifest_of_policy(const nlohmann::ordered_json& manifest,
                                          const std::filesystem::path& file);

/// `own`, the manifest of the run that ends, with what `present` says of other policies whose files
/// are there: their entries, and the inputs these name. An entry that was scored otherwise keeps
/// its `provenance`. Whichever run ends last, the result is the same.
nlohmann::ordered_json with_other_policies(nlohmann::ordered_json own,
                                           const nlohmann::ordered_json& present,
                                           const std::filesystem::path& folder);

}  // namespace charm::score
