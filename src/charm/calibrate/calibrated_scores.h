#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "charm/results/calibration.h"
#include "charm/storage/read_options.h"

namespace charm::calibrate {

/// Checks before work that copies of the scores files can be written to `folder`: Parquet files of
/// different names, other ones than they. Returns the files (of a folder its Parquet files).
std::vector<std::filesystem::path> check_calibrated_scores(
    std::span<const std::filesystem::path> scores, const std::filesystem::path& folder);

/// Writes each file to `folder` with all its columns and `calibrated_score` (float64): score plus
/// the policy's offset, null where the row has an error or its policy no offset. Returns the number
/// of scores without an offset.
std::int64_t write_calibrated_scores(std::span<const std::filesystem::path> files,
                                     const results::Calibration& calibration,
                                     const storage::ColumnNames& columns,
                                     const std::filesystem::path& folder);

}  // namespace charm::calibrate
