#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm {
struct Score;
}

namespace charm::prefer {

enum class Pairs {
  kBestWorst,    ///< per prompt, the highest against the lowest calibrated score
  kVsReference,  ///< per prompt, every policy against the reference
  kAll,          ///< per prompt, every pair of policies
};

/// "best-worst", "vs-reference", "all".
std::string_view pairs_name(Pairs pairs);

enum class Ties {
  kDrop,  ///< pairs with equal calibrated scores are dropped
  kKeep,  ///< pairs with equal calibrated scores are kept with margin 0; the first policy of the
          ///< calibration is chosen
};

/// The rejected response of a best-of-n pair.
enum class Rejected {
  kWorst,   ///< the response with the lowest calibrated score
  kRandom,  ///< a random response with a lower score, seeded by (seed, prompt_id)
};

struct PairingOptions {
  /// Empty: all, which raised the correlation with Arena most (docs/results.md). Irrelevant with
  /// two policies.
  std::optional<Pairs> pairs;
  /// One pair a prompt from all its responses, whatever their policy and sample number, instead of
  /// joining on the sample number; `pairs` must be empty or best-worst then. Use it where policies
  /// answered several times; a single calibrated policy is enough.
  bool best_of_n = false;
  Rejected rejected = Rejected::kWorst;  ///< with `best_of_n`: worst gives the largest margins
  std::uint64_t seed = 0;                ///< of random rejected responses
  Ties ties = Ties::kDrop;
  double min_margin = 0.0;  ///< score units: pairs with a smaller margin are dropped; raise it for
                            ///< fewer pairs with larger margins
};

/// Offsets of a calibration, in its order, and the reference.
struct Offsets {
  std::vector<std::string> policies;
  std::vector<double>
      offsets;  ///< score units, added to the policy's scores; same order as `policies`
  std::string reference;
  /// Share and seed of the prompts that the calibration held out; 0: none.
  double holdout = 0.0;
  std::uint64_t seed = 0;
};

/// Two rows of the given scores.
struct Pair {
  std::size_t chosen = 0;       ///< index into the scores
  std::size_t rejected = 0;     ///< index into the scores
  double score_chosen = 0.0;    ///< calibrated
  double score_rejected = 0.0;  ///< calibrated
};

struct PairingCounts {
  /// Prompts (and samples) that at least two calibrated policies answered; with best_of_n, prompts
  /// with two responses or more.
  std::int64_t num_prompts = 0;
  std::int64_t num_incomplete_prompts =
      0;                      ///< prompts that some but not all calibrated policies answered
  std::int64_t num_ties = 0;  ///< candidate pairs with equal calibrated scores
  std::int64_t num_below_margin = 0;  ///< candidate pairs dropped by `min_margin`
};

struct Pairing {
  std::vector<Pair> pairs;  ///< prompts in order of first appearance
  PairingCounts counts;
};

/// Of a calibration.json, which needs no more than its reference and its policies' offsets. Throws
/// kInput naming the member.
Offsets read_offsets(const std::filesystem::path& path);

/// Candidate pairs under `options`. Responses are joined on prompt_id and sample (best_of_n: on
/// prompt_id); rows with an error and rows of policies without an offset are ignored.
Pairing pair_scores(std::span<const Score> scores, const Offsets& offsets,
                    const PairingOptions& options);

}  // namespace charm::prefer
