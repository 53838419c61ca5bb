#include "charm/storage/joined_prompts.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::storage {
namespace {

// An id that was computed from its prompt: 16 hexadecimal digits, perhaps with -2 for a repetition.
bool is_computed_id(std::string_view id) {
  constexpr std::size_t kDigits = 16;
  if (id.find_first_not_of("0123456789abcdef") < kDigits || id.size() < kDigits) return false;
  return id.size() == kDigits || id[kDigits] == '-';
}

bool has_given_ids(const ScoreFile& file) {
  return !file.rows.empty() && !is_computed_id(file.rows.front().prompt_id);
}

// Rows of a file that are compared: ids that are wrong are so from the start.
constexpr std::int64_t kMostRows = 20'000;

struct JoinedPrompt {
  std::size_t hash = 0;  // of its last turn
  std::size_t file = 0;  // where it was first
};

struct PromptCounts {
  std::size_t num_common = 0;  // rows whose id another file has
  std::size_t num_different = 0;
  std::string example;
  std::size_t first_file = 0, second_file = 0;
};

using JoinedPrompts = std::unordered_map<std::string, JoinedPrompt>;

// Adds the prompts of a file; each id counts once.
void add_prompts(const std::filesystem::path& path, std::size_t file, const ReadOptions& options,
                 JoinedPrompts& prompts, PromptCounts& counts) {
  ReadOptions lenient = options;
  lenient.max_bad_rows = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> columns(std::begin(kPromptColumns), std::end(kPromptColumns));
  columns.emplace_back("prompt_id");
  RowReader reader(path, lenient, columns);
  std::unordered_set<std::string> seen;
  while (const RowView* row = reader.num_rows() < kMostRows ? reader.next() : nullptr) {
    std::string id;
    std::size_t hash = 0;
    try {
      id = prompt_id_field(*row).value_or("");
      hash = std::hash<std::string>()(prompt_field(*row).back().content);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInput) throw;
      if (seen.empty()) return;  // a file without prompts
      continue;
    }
    if (id.empty() || !seen.insert(id).second) continue;
    const auto [place, is_new] = prompts.try_emplace(id, JoinedPrompt{hash, file});
    if (is_new || place->second.file == file) continue;
    ++counts.num_common;
    if (place->second.hash == hash) continue;
    if (counts.num_different++ == 0) {
      counts.example = id;
      counts.first_file = place->second.file;
      counts.second_file = file;
    }
  }
}

}  // namespace

void check_joined_prompts(std::span<const std::filesystem::path> paths,
                          std::span<const ScoreFile> files, const ReadOptions& options) {
  if (std::ranges::count_if(files, has_given_ids) < 2) return;
  JoinedPrompts prompts;
  PromptCounts counts;
  for (std::size_t file = 0; file < files.size(); ++file) {
    if (has_given_ids(files[file])) add_prompts(paths[file], file, options, prompts, counts);
  }
  if (counts.num_different == 0) return;
  const std::string what = fmt::format(
      "{} of {} common prompt_ids stand for different prompts, the first is '{}' of {} and {}",
      counts.num_different, counts.num_common, counts.example, paths[counts.first_file].string(),
      paths[counts.second_file].string());
  if (2 * counts.num_different <= counts.num_common) {
    log::warning("{}; their responses are compared all the same", what);
    return;
  }
  throw Error(ErrorKind::kInput,
              "{}; give equal prompts equal ids, or leave the column out: ids are then computed "
              "from the prompts",
              what);
}

}  // namespace charm::storage
