#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "charm/records/vote.h"
#include "charm/storage/provenance.h"
#include "charm/storage/read_options.h"
#include "charm/storage/score_inputs.h"

namespace charm::storage {

/// Calls `body` for each vote with its texts, in file order. Any format that RowReader accepts, or
/// CSV; winners and models as in `for_each_battle`. The texts are those of
///   conversation_a, conversation_b       whole conversations (Arena, MT-bench); with a `turn` both
///                                        are cut after the turn-th response, the judged one
///   prompt, response_a, response_b       of one turn, or lists of turns (55k: JSON in a text);
///   prompt, response_1, response_2       PPE
/// prompt_id is the row's, or else that of the first user turn, so that all votes on a question
/// share it. A row without texts is invalid, see RowReader::reject.
void for_each_vote(const std::filesystem::path& path, const ReadOptions& options,
                   const std::function<void(VoteTexts&&)>& body);

/// The rows of a scored-votes file: prompt_id, model_a, model_b, winner, score_a, score_b;
/// optionally judge, question (or question_id), turn, and style counts as length_a, headers_a,
/// lists_a, bold_a and those of b. `error` instead of a score is kept. Throws kInput naming row and
/// column.
/// @param with_styles  every row needs style counts; without the columns they are counted in
///                     conversation_a and conversation_b
std::vector<ScoredVote> read_scored_votes(const std::filesystem::path& path,
                                          const ReadOptions& options, bool with_styles);

/// The conversations of both sides of scored votes, where the file has them (conversation_a,
/// conversation_b).
/// @param rows   indices into what `read_scored_votes` returns for the same options, ascending
/// @param body   called with the index
void for_each_vote_texts(
    const std::filesystem::path& path, const ReadOptions& options,
    std::span<const std::size_t> rows,
    const std::function<void(std::size_t row, Conversation a, Conversation b)>& body);

/// The scored votes of several files.
struct VoteInputs {
  std::vector<ScoredVote> votes;
  std::vector<InputFile> files;
};
VoteInputs read_vote_inputs(std::span<const std::filesystem::path> paths, bool with_styles,
                            std::int64_t max_bad_rows);

/// Style counts of all responses of the assistant, one line break between them.
StyleCounts conversation_style(const Conversation& conversation);

/// One row of the output of `charm score --votes`.
struct ScoredVoteRow {
  const VoteTexts* texts = nullptr;
  const ScoredVote* scored = nullptr;  ///< its `vote` is not read
};

/// Columns: prompt_id, question?, model_a, model_b, winner, judge?, turn?, conversation_a,
/// conversation_b, score_a?, score_b?, the style counts of both, error?. Parquet or JSONL.
void write_scored_votes(const std::filesystem::path& path, std::size_t num_rows,
                        const std::function<ScoredVoteRow(std::size_t)>& row_at,
                        const Provenance& provenance = {});

}  // namespace charm::storage
