#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::storage {

/// Ordered key-value pairs: program, version, hashes of the model, dtype, ... Stored in the
/// metadata of Parquet files, under the key "charm" as a JSON object; other formats have only the
/// manifest.
using Provenance = std::vector<std::pair<std::string, std::string>>;

/// The provenance of a Parquet file; empty if it has none or is not Parquet. Throws kIo if it
/// cannot be read.
std::optional<Provenance> read_provenance(const std::filesystem::path& path);

/// The value of this name; nullptr if there is none.
const std::string* find_fact(const Provenance& provenance, std::string_view name);

/// A fact that two files of scores differ in.
struct FactDifference {
  std::string_view name;
  std::string a, b;  ///< the first digits of both hashes
};

/// The first of the facts `names` that both have and differ in.
std::optional<FactDifference> fact_difference(const Provenance& a, const Provenance& b,
                                              std::initializer_list<std::string_view> names);

/// Throws kInput, naming both files and the fact, where two files' scores are of different reward
/// models, tokenizers or templates: their scores have no common scale. Files without facts pass.
void require_one_model(std::span<const std::filesystem::path> files);

/// As stored: {"name":"value",...}.
std::string provenance_json(const Provenance& provenance);

}  // namespace charm::storage
