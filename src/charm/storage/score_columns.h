#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "charm/records/records.h"
#include "charm/storage/read_options.h"

namespace charm::storage {

/// The scores of columnar files straight from their columns, some ten times faster than through
/// rows of JSON. Only for data without any oddity: empty where a file is not columnar, lacks
/// prompt_id or score, has other types than the writers', or where a row is bad or repeats a key.
/// The reader by rows judges those.
std::optional<std::vector<Score>> read_score_columns(const std::filesystem::path& path,
                                                     const ReadOptions& options);

}  // namespace charm::storage
