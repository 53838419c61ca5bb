#include "charm/prefer/prefer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::prefer {

void check_settings(const PreferOptions& options) {
  if (options.pairing.best_of_n &&
      options.pairing.pairs.value_or(Pairs::kBestWorst) != Pairs::kBestWorst) {
    throw Error(
        ErrorKind::kUsage,
        "--best-of-n pairs the best response of a prompt with another one; it excludes --pairs {}",
        pairs_name(*options.pairing.pairs));
  }
  if (!options.pairing.best_of_n && options.pairing.rejected != Rejected::kWorst) {
    throw Error(ErrorKind::kUsage, "--rejected random requires --best-of-n");
  }
}

namespace {

void check_options(const PreferOptions& options) {
  if (options.scores.empty())
    throw Error(ErrorKind::kUsage, "no scores given; name one file for each policy with --scores");
  check_settings(options);
  if (!is_standard_output(options.output)) storage::require_known_extension(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.calibration);
}

// Counts dropped rows; throws or warns where the scores do not cover the calibration.
void check_coverage(std::span<const Score> scores, const Offsets& offsets,
                    const PreferOptions& options, PreferResult& result) {
  const std::set<std::string> calibrated(offsets.policies.begin(), offsets.policies.end());
  std::set<std::string> present;
  std::set<std::string> others;
  for (const Score& score : scores) {
    if (!calibrated.contains(score.policy)) {
      ++result.num_other_policies;
      others.insert(score.policy);
      continue;
    }
    present.insert(score.policy);
    if (score.error) ++result.num_errors;
  }
  if (!others.empty()) {
    log::warning("{} has no offset for: {}; their {} rows are dropped",
                 options.calibration.string(), fmt::join(others, ", "), result.num_other_policies);
  }
  const std::size_t fewest = options.pairing.best_of_n ? 1 : 2;
  if (present.size() < fewest) {
    throw Error(ErrorKind::kInput,
                "the scores hold rows of {} calibrated policies; expected at least {} of: {}",
                present.size(), fewest, fmt::join(offsets.policies, ", "));
  }
  for (const std::string& policy : offsets.policies) {
    if (present.contains(policy)) continue;
    const bool needed = policy == offsets.reference && options.pairing.pairs == Pairs::kVsReference;
    if (needed || options.strict) {
      throw Error(ErrorKind::kInput, "the scores hold no rows of policy '{}', which {} calibrates",
                  policy, options.calibration.string());
    }
    log::warning("the scores hold no rows of policy '{}', which {} calibrates", policy,
                 options.calibration.string());
  }
}

// NUL does not occur in names, so it separates policy and prompt.
std::string key_of(const std::string& policy, const std::string& prompt_id, std::int32_t sample) {
  return policy + '\0' + prompt_id + '\0' + std::to_string(sample);
}

// Prompt and response of the rows that pairs use, by key; all other rows are skipped.
std::unordered_map<std::string, Conversation> read_needed_texts(const PreferOptions& options,
                                                                std::span<const Score> scores,
                                                                const Pairing& pairing,
                                                                const ProgressFn& progress) {
  std::unordered_map<std::string, Conversation> texts;
  for (const Pair& pair : pairing.pairs) {
    for (const std::size_t row : {pair.chosen, pair.rejected}) {
      texts.try_emplace(key_of(scores[row].policy, scores[row].prompt_id, scores[row].sample));
    }
  }
  std::int64_t done = 0;
  std::int64_t num_thinking = 0;
  for (const std::filesystem::path& path : options.scores) {
    storage::for_each_scored_response(path, options.read, [&](ScoredResponse&& row) {
      Response& response = row.response;
      const auto needed = texts.find(key_of(response.policy, response.prompt_id, response.sample));
      if (needed == texts.end()) return;
      const std::size_t answer_length = without_thinking(response.response).size();
      if (answer_length < response.response.size()) {
        ++num_thinking;
        if (options.strip_thinking)
          response.response.erase(0, response.response.size() - answer_length);
      }
      needed->second = std::move(response.prompt);
      needed->second.push_back(
          {"assistant", std::move(response.response), std::move(response.members)});
    });
    ++done;
    if (progress)
      progress(
          {"reading texts", done, static_cast<std::int64_t>(options.scores.size()), "files", ""});
  }
  if (num_thinking > 0 && !options.strip_thinking) {
    log::warning(
        "{} responses of the pairs begin with <think>...</think>; --strip-thinking removes it",
        num_thinking);
  }
  return texts;
}

/// Drops the rows of prompts that the calibration held out: a model trained on their pairs could
/// not be measured on them.
void drop_held_out(std::vector<Score>& scores, const Offsets& offsets, const PreferOptions& options,
                   PreferResult& result) {
  if (offsets.holdout == 0.0) return;
  std::set<std::string> held_out;
  for (const std::filesystem::path& path : options.scores) {
    storage::for_each_scored_response(path, options.read, [&](ScoredResponse&& row) {
      if (is_held_out(row.response.prompt, offsets.seed, offsets.holdout))
        held_out.insert(std::move(row.response.prompt_id));
    });
  }
  std::erase_if(scores, [&](const Score& row) { return held_out.contains(row.prompt_id); });
  result.num_held_out = std::ssize(held_out);
}

PreferencePair preference_of(const Pair& pair, std::span<const Score> scores,
                             const std::unordered_map<std::string, Conversation>& texts) {
  const auto text_of = [&](const Score& score) -> const Conversation& {
    const Conversation& text = texts.at(key_of(score.policy, score.prompt_id, score.sample));
    if (text.empty()) {
      throw Error(ErrorKind::kInput, "policy '{}' has a score but no usable texts for prompt '{}'",
                  score.policy, score.prompt_id);
    }
    return text;
  };
  const Score& chosen = scores[pair.chosen];
  const Score& rejected = scores[pair.rejected];
  PreferencePair preference;
  preference.prompt_id = chosen.prompt_id;
  preference.chosen = text_of(chosen);
  preference.rejected = text_of(rejected);
  if (leading_turns(preference.chosen, preference.chosen.size() - 1) !=
      leading_turns(preference.rejected, preference.rejected.size() - 1)) {
    throw Error(ErrorKind::kInput,
                "prompt_id '{}' identifies different prompts for the policies '{}' and '{}'",
                chosen.prompt_id, chosen.policy, rejected.policy);
  }
  preference.score_chosen = pair.score_chosen;
  preference.score_rejected = pair.score_rejected;
  preference.margin = pair.score_chosen - pair.score_rejected;
  preference.policy_chosen = chosen.policy;
  preference.policy_rejected = rejected.policy;
  return preference;
}

storage::Manifest manifest_of(const PreferOptions& options, const PreferResult& result) {
  storage::Manifest manifest("prefer");
  manifest.options(options, describe_command);
  if (options.pairing.best_of_n) manifest.option("pairs", "best-of-n");
  for (const std::filesystem::path& path : options.scores) manifest.input(path);
  manifest.input(options.calibration).output(options.output, result.num_pairs);
  manifest.extra("counts", {{"num_prompts", result.counts.num_prompts},
                            {"num_incomplete_prompts", result.counts.num_incomplete_prompts},
                            {"num_ties", result.counts.num_ties},
                            {"num_below_margin", result.counts.num_below_margin},
                            {"num_equal_texts", result.num_equal_texts},
                            {"num_errors", result.num_errors},
                            {"num_other_policies", result.num_other_policies},
                            {"num_held_out", result.num_held_out},
                            {"num_pairs", result.num_pairs}});
  return manifest;
}

}  // namespace

PreferResult prefer(const PreferOptions& options, const ProgressFn& progress) {
  check_options(options);
  const OutputLock lock(options.output);
  const Offsets offsets = read_offsets(options.calibration);
  if (options.pairing.pairs == Pairs::kVsReference && offsets.reference.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: no policy has offset 0, so there is no reference for --pairs vs-reference",
                options.calibration.string());
  }
  std::vector<Score> scores = storage::read_score_files(options.scores, options.read);
  PreferResult result;
  drop_held_out(scores, offsets, options, result);
  check_coverage(scores, offsets, options, result);
  const Pairing pairing = pair_scores(scores, offsets, options.pairing);
  result.counts = pairing.counts;
  if (options.strict && pairing.counts.num_incomplete_prompts > 0) {
    throw Error(ErrorKind::kInput,
                "{} prompts lack a response of some calibrated policy (--strict)",
                pairing.counts.num_incomplete_prompts);
  }
  if (pairing.pairs.empty()) {
    throw Error(ErrorKind::kInput,
                "no pairs: {} prompts with two or more {}, {} ties, {} pairs below the margin {}",
                pairing.counts.num_prompts, options.pairing.best_of_n ? "responses" : "policies",
                pairing.counts.num_ties, pairing.counts.num_below_margin,
                options.pairing.min_margin);
  }
  const auto texts = read_needed_texts(options, scores, pairing, progress);
  std::vector<PreferencePair> preferences;
  preferences.reserve(pairing.pairs.size());
  for (const Pair& pair : pairing.pairs) {
    PreferencePair preference = preference_of(pair, scores, texts);
    if (preference.chosen == preference.rejected) {
      ++result.num_equal_texts;
    } else {
      preferences.push_back(std::move(preference));
    }
  }
  if (preferences.empty()) {
    throw Error(ErrorKind::kInput, "no pairs: chosen and rejected texts are equal in all {}",
                result.num_equal_texts);
  }
  result.num_pairs = static_cast<std::int64_t>(preferences.size());
  storage::write_preferences(options.output, preferences);
  storage::write_manifest(options.output, manifest_of(options, result));
  return result;
}

}  // namespace charm::prefer
