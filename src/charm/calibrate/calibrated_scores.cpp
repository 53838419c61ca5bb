#include <map>
#include <optional>
#include <set>
#include <string>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/calibrate/calibrate_stage.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_source.h"
#include "charm/storage/table.h"

namespace charm::calibrate {

std::vector<fs::path> check_calibrated_scores(std::span<const fs::path> scores,
                                              const fs::path& folder) {
  require_writable_folder(folder);
  std::vector<fs::path> files;
  std::set<fs::path> names;
  for (const fs::path& path : scores) {
    for (const storage::DataFile& file : storage::data_files_of(path, std::nullopt)) {
      if (file.path.extension() != ".parquet") {
        throw Error(ErrorKind::kUsage,
                    "--write-scores: {} is no Parquet file; expected files of charm score",
                    file.path.string());
      }
      if (!names.insert(file.path.filename()).second) {
        throw Error(ErrorKind::kUsage,
                    "--write-scores {}: two scores files are named {}; rename one", folder.string(),
                    file.path.filename().string());
      }
      require_distinct(folder / file.path.filename(), file.path);
      files.push_back(file.path);
    }
  }
  return files;
}

std::int64_t write_calibrated_scores(std::span<const fs::path> files,
                                     const results::Calibration& calibration,
                                     const storage::ColumnNames& columns, const fs::path& folder) {
  std::map<std::string, double> offset_of;
  for (const results::CalibratedPolicy& policy : calibration.policies)
    offset_of[policy.policy] = policy.offset.value;
  keep_companions_outside(folder);
  std::int64_t num_without_offset = 0;
  for (const fs::path& file : files) {
    std::vector<std::optional<double>> values;
    for (const Score& score : storage::read_scores(file, {.columns = columns})) {
      const auto offset = offset_of.find(score.policy);
      num_without_offset += !score.error && offset == offset_of.end() ? 1 : 0;
      values.push_back(score.error || offset == offset_of.end()
                           ? std::nullopt
                           : std::optional(static_cast<double>(score.score) + offset->second));
    }
    storage::write_with_column(file, folder / file.filename(), "calibrated_score", values);
  }
  return num_without_offset;
}

}  // namespace charm::calibrate
