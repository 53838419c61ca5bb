#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::storage {

/// Where a file's rows come from, as short facts in order: program, version, hashes of the model,
/// dtype, ... Parquet files carry them in their own metadata, under the key "charm" as a JSON
/// object; other formats have only the manifest.
using Provenance = std::vector<std::pair<std::string, std::string>>;

/// The facts a Parquet file carries; empty where it has none or is no Parquet file. Throws kIo when
/// it cannot be read.
std::optional<Provenance> read_provenance(const std::filesystem::path& path);

/// The fact of this name; nullptr when there is none.
const std::string* find_fact(const Provenance& provenance, std::string_view name);

/// As stored: {"name":"value",...}.
std::string provenance_json(const Provenance& provenance);

}  // namespace charm::storage
