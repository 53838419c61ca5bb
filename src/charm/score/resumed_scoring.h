#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "charm/dist/world.h"
#include "charm/score/scorer.h"
#include "charm/storage/journal.h"

namespace charm::score {

/// Scores rows of a store and reports finished ones (usually `score_rows` with its model bound).
using ScoreRowsFn = std::function<std::vector<RowScore>(
    const RowStore& store, std::span<const std::size_t> rows, const ScoredFn& on_scored)>;

/// A journal and the rows of the run that it numbers 0, 1, ...
struct JournalPart {
  storage::Journal* journal;
  std::vector<std::size_t> rows;  ///< indices among all rows of the run
};

/// The journals of a run, one per output file. Each row is in at most one; a row in none is not
/// journalled. Not thread-safe.
class RowJournals {
 public:
  RowJournals(std::vector<JournalPart> parts, std::size_t num_rows);

  /// Copies the results of earlier runs into `results` and marks them in `done`. Throws kInput if a
  /// journal does not match the rows.
  void restore(std::vector<RowScore>& results, std::vector<bool>& done);

  /// @param entries  list of [row of the run, score, num_tokens, truncated, error or null]
  void append(const nlohmann::json& entries);

 private:
  struct Place {
    std::size_t part = SIZE_MAX;  ///< SIZE_MAX: in no journal
    std::size_t number = 0;       ///< in that journal
  };
  std::vector<JournalPart> parts_;
  std::vector<Place> places_;  ///< by row of the run
};

/// Scores all rows that are not in the journal and appends each finished batch to it. Because a
/// score is a function of its own tokens, a resumed run gives the same results as an uninterrupted
/// one. Throws kInput if the journal does not match the rows.
std::vector<RowScore> score_rows_resumed(const RowStore& store, const ScoreRowsFn& score_rows,
                                         storage::Journal& journal);

/// The results of a run's rows known before scoring: those marked in `done` are final.
struct KnownResults {
  std::vector<RowScore> results;
  std::vector<bool> done;
};

/// None of the rows scored yet.
KnownResults unscored(std::size_t num_rows);

/// The same with all processes of `world`, each called with the same rows. Only rank 0 has
/// journals, decides which rows are done and returns the results; the others return nothing.
/// Results do not depend on the number of processes.
std::vector<RowScore> score_rows_distributed(const RowStore& store, KnownResults known,
                                             const ScoreRowsFn& score_rows, RowJournals* journals,
                                             dist::World& world);

/// The pending rows that a rank scores: whole prompts, balanced by text size. Every rank computes
/// the same partition.
std::vector<std::size_t> rows_of_rank(const RowStore& store, const std::vector<bool>& done,
                                      int rank, int size);

}  // namespace charm::score
