#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace charm::storage {

/// One file of a data set and what a policy without a column of its own is called in it.
struct DataFile {
  std::filesystem::path path;
  std::string policy_name;
};

/// The files of a data set in reading order: a single file itself; of a folder the shards its
/// state.json names, or its Parquet files by name. Throws kIo when nothing is there, kInput when
/// the folder is no data set or the split is missing or needed.
std::vector<DataFile> data_files_of(const std::filesystem::path& path,
                                    const std::optional<std::string>& split);

}  // namespace charm::storage
