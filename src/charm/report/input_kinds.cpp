#include "charm/report/input_kinds.h"

#include <algorithm>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::report {
namespace {

/// Whether the first row has these columns; false for files of other kinds.
bool has_columns(const fs::path& path, const std::vector<std::string>& any_of_ids,
                 const std::vector<std::string>& any_of) {
  std::vector<std::string> columns = any_of_ids;
  columns.insert(columns.end(), any_of.begin(), any_of.end());
  try {
    storage::RowReader reader(path, {}, columns);
    const storage::RowView* row = reader.next();
    const auto has = [row](const std::string& name) { return row->has(name); };
    return row != nullptr && std::ranges::any_of(any_of_ids, has) &&
           std::ranges::any_of(any_of, has);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return false;
  }
}

}  // namespace

bool holds_scores(const fs::path& path) {
  if (fs::is_directory(path) || holds_votes(path)) return false;
  std::vector<std::string> ids = {"prompt_id"};
  ids.insert(ids.end(), std::begin(storage::kPromptColumns), std::end(storage::kPromptColumns));
  return has_columns(path, ids, {"score", "error"});
}

bool holds_votes(const fs::path& path) {
  return !fs::is_directory(path) && has_columns(path, {"model_a"}, {"score_a", "error"});
}

}  // namespace charm::report
