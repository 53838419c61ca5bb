#include "charm/results/solve_options.h"

#include <charconv>

#include "charm/base/error.h"

namespace charm::results {

std::string mode_name(const Mode& mode) {
  switch (mode.kind) {
    case ModeKind::kSamePrompt:
      return "same-prompt";
    case ModeKind::kAllPairs:
      return "all-pairs";
    case ModeKind::kBlock:
      return fmt::format("block:{}", mode.block_rows);
    case ModeKind::kVotes:
      return "votes";
  }
  return "";
}

Mode parse_mode(std::string_view word) {
  if (word == "same-prompt") return {.kind = ModeKind::kSamePrompt};
  if (word == "all-pairs") return {.kind = ModeKind::kAllPairs};
  if (word == "votes") return {.kind = ModeKind::kVotes};
  constexpr std::string_view kPrefix = "block:";
  if (word.starts_with(kPrefix)) {
    const std::string_view digits = word.substr(kPrefix.size());
    std::int64_t rows = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rows);
    if (error == std::errc() && end == digits.data() + digits.size() && rows > 0) {
      return {.kind = ModeKind::kBlock, .block_rows = rows};
    }
  }
  throw Error(ErrorKind::kUsage,
              "'{}' is unknown; expected same-prompt, all-pairs or block:N with N rows a "
              "block (the original's is block:1000)",
              word);
}

std::string_view solver_name(SolverKind solver) {
  return solver == SolverKind::kExact ? "exact" : "adam";
}

SolverKind parse_solver(std::string_view word) {
  if (word == "exact") return SolverKind::kExact;
  if (word == "adam") return SolverKind::kAdam;
  throw Error(ErrorKind::kUsage, "'{}' is unknown; expected exact or adam", word);
}

std::string_view pair_weights_name(PairWeights weights) {
  return weights == PairWeights::kEqual ? "equal" : "count";
}

PairWeights parse_pair_weights(std::string_view word) {
  if (word == "equal") return PairWeights::kEqual;
  if (word == "count") return PairWeights::kCount;
  throw Error(ErrorKind::kUsage, "'{}' is unknown; expected equal or count", word);
}

}  // namespace charm::results
