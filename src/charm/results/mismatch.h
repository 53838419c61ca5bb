#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/results/pair.h"

namespace charm::results {

/// One policy's scores in `Mismatch`.
struct MeasuredPolicy {
  std::string policy;
  ArenaRating rating;
  double mean_score = 0.0;  ///< score units, over rows with a score
  std::int64_t num_scores = 0;
  std::int64_t num_errors = 0;  ///< rows that carry an error instead of a score; dropped

  /// Mean mismatch degree over all other policies, with its sign; positive: the reward model
  /// flatters the policy. Missing in files of versions that did not compute it.
  std::optional<Estimate> mean_mismatch;
  std::int64_t num_prompts = 0;      ///< prompts in common with at least one other policy
  std::optional<MismatchTest> test;  ///< of mean_mismatch, corrected for the number of policies
};

/// Agreement with people's votes, as fractions.
struct VoteAgreement {
  Estimate accuracy;  ///< of decided votes: the chosen response scores higher, ties half
  std::int64_t num_decided = 0;
  Estimate people;  ///< of two votes on the same two responses: equal; NaN without any
  std::int64_t num_people = 0;
  Estimate people_decided;  ///< the same where both are decided
  std::int64_t num_people_decided = 0;
  std::int64_t num_votes = 0;
  std::int64_t num_ties = 0;
  std::int64_t num_judges = 0;  ///< named ones
};

/// mismatch.json of `charm measure`.
struct Mismatch {
  static constexpr int kVersion = 1;

  TieRule ties = TieRule::kLoss;
  std::uint64_t seed = 0;
  std::int64_t bootstrap = 0;
  std::int64_t num_prompts = 0;  ///< distinct prompts over all policies
  std::vector<MeasuredPolicy> policies;
  std::vector<Pair> pairs;  ///< all ordered pairs (of votes: those with a vote), by policy, then
                            ///< reference
  std::vector<std::string> warnings;
  std::optional<VoteAgreement> votes;  ///< of votes: targets are people's win rates
  std::string prompts;  ///< which prompts these are ("held out of calibration"); empty: no note
};

/// Keys in reading order. `inputs`: the input files, as the stage records them.
nlohmann::ordered_json to_json(const Mismatch& mismatch, const nlohmann::ordered_json& inputs);

/// Throws kInput naming the file and the member for a file that `charm measure` has not written.
Mismatch read_mismatch(const nlohmann::ordered_json& json, const std::string& file);
Mismatch read_mismatch(const std::filesystem::path& path);

}  // namespace charm::results
