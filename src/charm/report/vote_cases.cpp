#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "charm/records/conversation.h"
#include "charm/report/case_collector.h"
#include "charm/stats/comparisons.h"
#include "charm/stats/vote_table.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/votes.h"

namespace charm::report {
namespace {

const storage::ReadOptions kVoteReading{.max_bad_rows = std::numeric_limits<std::int64_t>::max()};

/// A scored vote and where it stands.
struct PlacedVote {
  const ScoredVote* scored = nullptr;
  std::size_t file = 0;
  std::size_t row = 0;

  double margin() const {
    return static_cast<double>(scored->score_a) - static_cast<double>(scored->score_b);
  }
};

/// The scored votes of some files; rows with an error are left out, and those that are not wanted.
class VoteFiles {
 public:
  using Wanted = std::function<bool(const Vote&)>;
  explicit VoteFiles(std::vector<fs::path> paths, const Wanted& wanted = {})
      : paths_(std::move(paths)) {
    for (const fs::path& path : paths_)
      rows_.push_back(storage::read_scored_votes(path, kVoteReading, /*with_styles=*/false));
    for (std::size_t file = 0; file < rows_.size(); ++file) {
      for (std::size_t row = 0; row < rows_[file].size(); ++row) {
        const ScoredVote& scored = rows_[file][row];
        if (!scored.error && (!wanted || wanted(scored.vote)))
          votes_.push_back({&scored, file, row});
      }
    }
  }

  const std::vector<PlacedVote>& votes() const { return votes_; }

  /// The votes between two models, by the models' names.
  std::map<std::pair<std::string, std::string>, std::vector<PlacedVote>> by_pair() const {
    std::map<std::pair<std::string, std::string>, std::vector<PlacedVote>> pairs;
    for (const PlacedVote& vote : votes_) {
      const auto [first, second] =
          std::minmax(vote.scored->vote.model_a, vote.scored->vote.model_b);
      pairs[{first, second}].push_back(vote);
    }
    return pairs;
  }

  /// Reads the texts of the cases that were added for these votes.
  void read_texts(CaseBuilder& builder,
                  const std::map<std::pair<std::size_t, std::size_t>, std::size_t>& case_of) const {
    std::size_t num_read = 0;
    for (std::size_t file = 0; file < paths_.size(); ++file) {
      std::vector<std::size_t> rows;
      for (const auto& [place, index] : case_of) {
        if (place.first == file) rows.push_back(place.second);
      }
      storage::for_each_vote_texts(
          paths_[file], kVoteReading, rows,
          [&](std::size_t row, const Conversation& a, const Conversation& b) {
            ++num_read;
            put_texts(builder, case_of.at({file, row}), rows_[file][row].vote, a, b);
          });
    }
    if (num_read == case_of.size()) return;
    builder.note(fmt::format(
        "{} of {} cases have no texts: the scored votes have no conversation_a and conversation_b; "
        "charm score --votes writes them.",
        case_of.size() - num_read, case_of.size()));
  }

 private:
  // What both conversations begin with is the prompt; the rest is each side's text.
  static void put_texts(CaseBuilder& builder, std::size_t index, const Vote& vote,
                        const Conversation& a, const Conversation& b) {
    const Conversation prompt = storage::common_prompt(a, b);
    const auto text_of = [&](const Conversation& side) {
      Conversation rest;
      rest.assign(side.begin() + static_cast<std::ptrdiff_t>(prompt.size()), side.end());
      return rest.size() == 1 ? rest.front().content : prompt_text(rest);
    };
    builder.at(index).prompt = builder.add_text(prompt_text(prompt), /*is_response=*/false);
    const bool is_swapped = builder.at(index).a.name != vote.model_a;
    const std::size_t text_a = builder.add_text(text_of(a), /*is_response=*/true);
    const std::size_t text_b = builder.add_text(text_of(b), /*is_response=*/true);
    builder.at(index).a.text = is_swapped ? text_b : text_a;
    builder.at(index).b.text = is_swapped ? text_a : text_b;
  }

  std::vector<fs::path> paths_;
  std::vector<std::vector<ScoredVote>> rows_;
  std::vector<PlacedVote> votes_;
};

/// A vote seen from one of its models.
struct SidedVote {
  PlacedVote placed;
  bool is_swapped = false;  ///< the model seen from is model_b
  double offset = 0.0;      ///< added to the margin

  double margin() const { return is_swapped ? -placed.margin() : placed.margin(); }
  double outcome() const {
    const double outcome = placed.scored->vote.outcome;
    return is_swapped ? 1.0 - outcome : outcome;
  }
  /// The reward model's win (1, 1/2, 0) minus people's.
  double difference() const {
    const double win = margin() > 0.0 ? 1.0 : margin() < 0.0 ? 0.0 : 0.5;
    return win - outcome();
  }
  bool flips() const {
    return stats::winner_of(margin(), 0.0) != stats::winner_of(margin() + offset, 0.0);
  }
};

std::vector<SidedVote> seen_from(const std::string& policy, std::span<const PlacedVote> votes,
                                 double offset) {
  std::vector<SidedVote> sided;
  for (const PlacedVote& vote : votes)
    sided.push_back({vote, vote.scored->vote.model_a != policy, offset});
  return sided;
}

using CaseOfVote = std::map<std::pair<std::size_t, std::size_t>, std::size_t>;

/// Adds a cell of votes in order.
/// @param offset_of  of both policies; empty: none
void add_vote_cell(CaseCell cell, const std::vector<SidedVote>& votes,
                   const std::map<std::string, double>& offset_of, CaseBuilder& builder,
                   CaseOfVote& case_of) {
  const auto prompt_of = [](const SidedVote& sided) {
    return std::string_view(sided.placed.scored->vote.prompt_id);
  };
  const auto add = [&](const SidedVote& sided) {
    const ScoredVote& scored = *sided.placed.scored;
    Case added;
    added.prompt_id = scored.vote.prompt_id;
    added.a = {.name = scored.vote.model_a, .score = static_cast<double>(scored.score_a)};
    added.b = {.name = scored.vote.model_b, .score = static_cast<double>(scored.score_b)};
    for (CaseSide* side : {&added.a, &added.b}) {
      const auto offset = offset_of.find(side->name);
      if (offset != offset_of.end()) side->score_after = side->score + offset->second;
    }
    added.vote = scored.vote.outcome;
    added.judge = scored.vote.judge;
    if (sided.is_swapped) {
      std::swap(added.a, added.b);
      added.vote = 1.0 - *added.vote;
    }
    const auto [index, is_new] = builder.add_case(
        fmt::format("{}\x1f{}\x1f{}\x1f{}\x1f{}", scored.vote.prompt_id, scored.vote.model_a,
                    scored.vote.model_b, sided.placed.file, sided.placed.row),
        std::move(added));
    if (is_new) case_of[{sided.placed.file, sided.placed.row}] = index;
    return index;
  };
  builder.add_cell(std::move(cell), votes, prompt_of, add);
}

/// The largest differences in the direction that the reward model errs come first.
void sort_by_difference(std::vector<SidedVote>& votes, bool is_over_valued) {
  const double direction = is_over_valued ? 1.0 : -1.0;
  std::ranges::stable_sort(votes, [direction](const SidedVote& a, const SidedVote& b) {
    const auto key = [direction](const SidedVote& vote) {
      return std::tuple(-direction * vote.difference(), -direction * vote.margin());
    };
    return key(a) < key(b);
  });
}

/// Existing votes files; a note where there are none.
std::vector<fs::path> vote_inputs(const std::vector<results::InputFile>& recorded,
                                  CaseBuilder& builder) {
  std::vector<fs::path> files = only_votes(builder.find_inputs(recorded));
  if (files.empty()) builder.note("No cases: no scored votes were found.");
  return files;
}

}  // namespace

void add_vote_mismatch_cases(const RunData& run, const MismatchFile& file, CaseBuilder& builder) {
  builder.begin_group(run.cases_of(file), "Mismatch degree, " + file.model,
                      "votes that the reward model contradicts in the direction of the mismatch, "
                      "by score difference");
  const VoteFiles files(vote_inputs(file.inputs, builder));
  std::map<std::pair<std::string, std::string>, double> mismatch_of;
  for (const results::Pair& pair : file.pairs)
    mismatch_of[{pair.policy, pair.reference}] = pair.before.mismatch.value;
  CaseOfVote case_of;
  for (const auto& [names, votes] : files.by_pair()) {
    const auto& [first, second] = names;
    const auto mismatch = mismatch_of.find(names);
    if (mismatch == mismatch_of.end()) continue;
    const std::string& policy = mismatch->second >= 0.0 ? first : second;
    std::vector<SidedVote> sided = seen_from(policy, votes, /*offset=*/0.0);
    sort_by_difference(sided, /*is_over_valued=*/true);
    add_vote_cell({.a = policy, .b = policy == first ? second : first}, sided, {}, builder,
                  case_of);
  }
  files.read_texts(builder, case_of);
}

void add_vote_offset_cells(const CalibrationFile& file, CasePrompts prompts, CaseBuilder& builder) {
  const VoteFiles files(vote_inputs(file.inputs, builder), [&](const Vote& vote) {
    return stats::is_held_out(vote, file.options.seed, file.votes->holdout) ==
           (prompts == CasePrompts::kHeldOut);
  });
  std::map<std::string, double> offset_of;
  for (const results::CalibratedPolicy& policy : file.policies)
    offset_of[policy.policy] = policy.offset.value;
  CaseOfVote case_of;
  for (const auto& [names, votes] : files.by_pair()) {
    const auto& [first, second] = names;
    if (first != file.reference && second != file.reference) continue;
    const std::string& policy = first == file.reference ? second : first;
    if (!offset_of.contains(policy) || !offset_of.contains(file.reference)) continue;
    const double offset = offset_of.at(policy) - offset_of.at(file.reference);
    std::vector<SidedVote> sided = seen_from(policy, votes, offset);
    sort_by_difference(sided, /*is_over_valued=*/offset < 0.0);
    std::ranges::stable_partition(sided, &SidedVote::flips);
    add_vote_cell({.a = policy, .b = file.reference}, sided, offset_of, builder, case_of);
  }
  files.read_texts(builder, case_of);
}

void add_vote_prediction_cases(const EvaluationFile& file, CaseBuilder& builder) {
  builder.begin_group(evaluation_cases(file.model, file.benchmark), "People's votes, " + file.model,
                      "votes that the reward model contradicts, by score difference");
  const VoteFiles files(vote_inputs(scores_of_evaluation(file), builder));
  std::vector<SidedVote> votes;
  // Each seen from the side that scores higher.
  for (const PlacedVote& vote : files.votes()) votes.push_back({vote, vote.margin() < 0.0, 0.0});
  sort_by_difference(votes, /*is_over_valued=*/true);
  CaseOfVote case_of;
  if (!votes.empty()) add_vote_cell({}, votes, {}, builder, case_of);
  files.read_texts(builder, case_of);
}

}  // namespace charm::report
