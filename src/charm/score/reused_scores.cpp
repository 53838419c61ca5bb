#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/records/response.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/score_provenance.h"
#include "charm/storage/record_reader.h"

namespace charm::score {
namespace {

/// Fills in scores of earlier files for rows with equal texts.
class Reuse {
 public:
  explicit Reuse(const RowStore& store) : store_(store), known_(unscored(store.size())) {}

  /// The rows' results are in the finished file.
  void mark(const PolicyPart& part) {
    for (const std::size_t r : part.rows) known_.done[r] = true;
  }

  /// Rows to look for from here on: those of `part` that are not done.
  void want(const PolicyPart& part) {
    for (const std::size_t r : part.rows) {
      if (!known_.done[r]) row_of_key_.emplace(key_of(store_[r]), r);
    }
  }
  void want_nothing() { row_of_key_.clear(); }

  void read(const fs::path& file) {
    storage::for_each_scored_response(file, {}, [&](ScoredResponse&& earlier) { take(earlier); });
  }

  KnownResults result() { return std::move(known_); }

 private:
  void take(const ScoredResponse& earlier) {
    const auto found = row_of_key_.find(key_of(earlier.response));
    if (earlier.error || found == row_of_key_.end()) return;
    const std::size_t r = found->second;
    const bool same = earlier.response.message() == store_[r].message() &&
                      earlier.response.prompt == store_.prompt(r);
    known_.done[r] = same;  // of several rows with this key the last counts
    if (!same) return;
    known_.results[r] = {.score = earlier.score,
                         .num_tokens = earlier.num_tokens,
                         .truncated = earlier.truncated,
                         .error = {}};
  }

  const RowStore& store_;
  KnownResults known_;
  std::map<RowKey, std::size_t> row_of_key_;
};

/// Whether a policy's file of an earlier run was scored with this run's model and settings.
bool is_of_this_run(const fs::path& file, const storage::Provenance& provenance) {
  if (!fs::exists(file)) return false;
  const std::string difference = provenance_difference(file, provenance);
  if (difference.empty()) return true;
  log::info("{}: {}; its policy is scored again", file.string(), difference);
  return false;
}

}  // namespace

KnownResults reusable_results(const ScoreStageOptions& options,
                              const storage::Provenance& provenance, const Work& work) {
  Reuse reuse(work.rows);
  for (const PolicyPart& part : work.parts) {
    if (part.finished) {
      reuse.mark(part);
    } else if (!options.fresh && is_of_this_run(part.file, provenance)) {
      reuse.want(part);
      reuse.read(part.file);
      reuse.want_nothing();
    }
  }
  for (const PolicyPart& part : work.parts) reuse.want(part);
  for (const fs::path& file : options.resume) {
    const std::string difference = provenance_difference(file, provenance);
    if (!difference.empty())
      throw Error(ErrorKind::kInput, "--resume {}: {}", file.string(), difference);
    reuse.read(file);
  }
  return reuse.result();
}

}  // namespace charm::score
