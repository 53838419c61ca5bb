#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "charm/records/arena.h"

namespace charm::storage {

struct RatingsOptions {
  /// Which category of an Arena catalogue to take ("full", "coding", ...); needed where the file
  /// holds several.
  std::string category;
};

/// Policy name in the scores -> name in the ratings file (`--alias A=B`).
using Aliases = std::map<std::string, std::string>;

/// Reads ratings in any of these forms:
///   {"name": 1273}                                        plain numbers
///   {"name": {"rating": 1273, "rating_q025": ..., ...}}   one Arena category
///   {"category": {"name": {"rating": ...}}}               the Arena catalogue, see
///   RatingsOptions::category
///   [{"model_name": "...", "arena_score": 1273, ...}]     lists, also the original project's
///   pm_config.json; JSONL as well CSV with a header
/// Names: name, model, model_name. Scores: score, rating, elo, arena_score. Intervals: ci,
/// arena_ci, rating_ci95 as [lo, hi], or rating_q025 and rating_q975, or rating_lower and
/// rating_upper. Rows that name a `category` are those of a catalogue. A file of battles is refused
/// with a message that says what it is. Throws kInput, kIo.
std::vector<ArenaRating> read_ratings(const std::filesystem::path& path,
                                      const RatingsOptions& options = {});

/// The rating of each policy, in the order of `policies`; result names are the policies' own.
/// Aliases first, then exact, then case-insensitive match. Throws kInput for a policy without
/// rating (listing the nearest names) or with two case-insensitive matches; kUsage for an alias
/// that names no policy or no rating.
std::vector<ArenaRating> match_ratings(std::span<const std::string> policies,
                                       std::span<const ArenaRating> ratings, const Aliases& aliases,
                                       const std::filesystem::path& path);

/// "A=B" -> {A, B}. Throws kUsage.
Aliases parse_aliases(std::span<const std::string> words);

}  // namespace charm::storage
