#include "charm/score/score_work.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/journal.h"
#include "charm/storage/published_scores.h"
#include "charm/storage/record_reader.h"

namespace charm::score {
namespace {

constexpr std::size_t kMaxNameBytes = 255;  // of a file, on usual file systems

/// Checks that every policy has its own output file, distinct from the inputs.
void check_files(const ScoreStageOptions& options, const Work& work) {
  std::vector<fs::path> files;
  std::map<fs::path, std::string> policy_of_file;
  for (const PolicyPart& part : work.parts) {
    files.push_back(part.file);
    const std::string& policy = work.rows[part.rows.front()].policy;
    const auto [place, is_new] = policy_of_file.emplace(part.file, policy);
    if (is_new) continue;
    throw Error(ErrorKind::kInput,
                "the policies '{}' and '{}' would share the file {}; rename one of them",
                place->second, policy, part.file.string());
  }
  for (const fs::path& file : files) {
    require_distinct(file, options.responses);
    fs::path longest = partial_path(file);
    if (options.shard) longest = storage::journal_path(shard_path(file, *options.shard));
    if (longest.filename().string().size() <= kMaxNameBytes) continue;
    throw Error(ErrorKind::kInput,
                "the policy name '{}...' is too long for a file name: {} bytes; rename it",
                file.stem().string().substr(0, 40), file.stem().string().size());
  }
}

}  // namespace

Work read_work(const ScoreStageOptions& options) {
  Work work;
  std::map<std::string, std::size_t> place;
  std::vector<std::pair<fs::path, std::set<std::string>>> policies_of_files;
  const storage::ReadOptions read_options{.max_bad_rows = options.max_bad_rows,
                                          .columns = options.columns};
  for (const fs::path& file : options.responses) {
    std::vector<Response> read = storage::holds_benchmark_rows(file)
                                     ? storage::read_benchmark_responses(file, read_options)
                                     : storage::read_responses(file, read_options);
    std::set<std::string> policies;
    work.rows.reserve(read.size());
    for (Response& row : read) {
      policies.insert(row.policy);
      const auto [entry, is_new] = place.try_emplace(row.policy, work.parts.size());
      if (is_new) {
        work.parts.push_back({.file = score_file(options.output, row.policy),
                              .source = work.sources.size(),
                              .rows = {},
                              .fingerprint = {},
                              .manifest = {},
                              .finished = {}});
      }
      work.parts[entry->second].rows.push_back(work.rows.size());
      work.rows.add(std::move(row));
    }
    policies_of_files.emplace_back(file, std::move(policies));
    work.sources.push_back({.path = file,
                            .sha256 = storage::sha256_of_path(file),
                            .num_rows = static_cast<std::int64_t>(read.size())});
  }
  storage::check_distinct_policies(policies_of_files);
  check_files(options, work);
  return work;
}

std::vector<std::size_t> pending_rows(const Work& work, const std::optional<Shard>& shard) {
  std::vector<bool> pending(work.rows.size(), false);
  for (const PolicyPart& part : work.parts) {
    if (part.finished) continue;
    for (const std::size_t r : part.rows) pending[r] = true;
  }
  std::vector<std::size_t> rows = rows_of_shard(work.rows, shard);
  std::erase_if(rows, [&](std::size_t r) { return !pending[r]; });
  return rows;
}

void find_finished(const fs::path& output, std::vector<PolicyPart>& parts) {
  const nlohmann::ordered_json manifest = storage::read_manifest(output);
  for (PolicyPart& part : parts) {
    std::optional<PolicyEntry> entry = find_policy(manifest, part.file);
    if (!entry || !fs::exists(part.file)) continue;
    // Another fingerprint may be due to an option that is newer than the manifest.
    if (entry->fingerprint == part.fingerprint ||
        (part.manifest && part.manifest->matches_recorded(manifest_of_policy(manifest, part.file))))
      part.finished = std::move(entry);
  }
}

fs::path score_file(const fs::path& folder, const std::string& policy) {
  std::string name = policy;
  for (char& c : name) {
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '_';
  }
  return folder / (name + ".parquet");
}

}  // namespace charm::score
