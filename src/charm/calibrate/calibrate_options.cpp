#include "charm/base/error.h"
#include "charm/base/option_table.h"
#include "charm/calibrate/calibrate_stage.h"
#include "charm/stats/elo.h"
#include "charm/storage/ratings.h"
#include "charm/storage/read_options.h"

namespace charm::calibrate {

namespace {

Option interval_option(CalibrateOptions& options) {
  Option option{.name = "interval", .value_name = "sandwich|bootstrap"};
  option.help =
      "Method of the 95 % intervals. With --votes sandwich, the default, is the cluster-robust "
      "covariance; bootstrap resamples clusters. Otherwise bootstrap over prompts and ratings (see "
      "docs/calibration.md).";
  option.default_text = "bootstrap; with --votes sandwich";
  option.assign = [&options](const std::vector<std::string>& values) {
    if (values.front() == "influence") {
      throw Error(ErrorKind::kUsage,
                  "'influence' was removed (its coverage was the bootstrap's); expected bootstrap, "
                  "with fewer replicates where time matters");
    }
    for (const IntervalKind kind : {IntervalKind::kSandwich, IntervalKind::kBootstrap}) {
      if (values.front() != interval_name(kind)) continue;
      options.interval = kind;
      return;
    }
    throw Error(ErrorKind::kUsage, "expected sandwich or bootstrap, found '{}'", values.front());
  };
  option.value = [&options]() -> OptionValue {
    const IntervalKind fallback =
        options.votes.empty() ? IntervalKind::kBootstrap : IntervalKind::kSandwich;
    return std::string(interval_name(options.interval.value_or(fallback)));
  };
  return option;
}

constexpr std::pair<std::string_view, CalibrateTies> kTies[] = {
    {"loss", CalibrateTies::kLoss},
    {"half", CalibrateTies::kHalf},
    {"davidson", CalibrateTies::kDavidson}};

Option ties_option(CalibrateOptions& options) {
  Option option{.name = "ties", .value_name = "loss|half|davidson"};
  option.help =
      "How ties count: in a win rate as a loss, as in the original, or as half a win; with --votes "
      "a vote is half a win and half a loss, or tied by Davidson's model (1970).";
  option.default_text = "loss; with --votes half";
  option.assign = [&options](const std::vector<std::string>& values) {
    for (const auto& [word, ties] : kTies) {
      if (values.front() != word) continue;
      options.ties = ties;
      options.solve.ties =
          ties == CalibrateTies::kHalf ? results::TieRule::kHalf : results::TieRule::kLoss;
      return;
    }
    throw Error(ErrorKind::kUsage, "expected loss, half or davidson, found '{}'", values.front());
  };
  option.value = [&options]() -> OptionValue {
    for (const auto& [word, ties] : kTies) {
      if (options.ties == ties) return std::string(word);
    }
    if (!options.votes.empty()) return std::string("half");
    return std::string(results::tie_rule_name(options.solve.ties));
  };
  return option;
}

}  // namespace

void describe_settings(OptionTable& table, CalibrateOptions& options) {
  SolveOptions& solve = options.solve;
  table.text("reference", options.reference, "NAME",
             "Reference policy (offset 0). Choose one with a mismatch degree near 0.");
  table.texts("policies", options.policies, "NAME",
              "Policies to calibrate; by default all in the scores files.");
  Option mode{.name = "mode", .value_name = "same-prompt|all-pairs|block:N"};
  mode.help =
      "Win rate that is equalised with the target: same-prompt is the share of prompts where the "
      "policy's score is higher, as in the mismatch degree; all-pairs compares scores across all "
      "prompts through a sigmoid; block:1000 does so within blocks of 1000 rows, as the original "
      "did.";
  mode.default_text = mode_name(solve.mode);
  mode.value = [&solve] { return OptionValue(mode_name(solve.mode)); };
  mode.assign = [&solve](const std::vector<std::string>& values) {
    solve.mode = parse_mode(values.front());
  };
  table.add(std::move(mode))
      .choice("solver", solve.solver, {{"exact", SolverKind::kExact}, {"adam", SolverKind::kAdam}},
              "exact: exact optimisation; adam: the original's training of a small network, for "
              "comparison.");
  table.add(ties_option(options))
      .choice("weights", solve.weights,
              {{"equal", PairWeights::kEqual}, {"count", PairWeights::kCount}},
              "Weights of the pairs when three or more policies are calibrated jointly: equal, or "
              "proportional to the number of common prompts.")
      .number("temperature", solve.temperature, "X",
              "Temperature of the sigmoid in all-pairs and block modes, score units.")
      .above(0)
      .add(interval_option(options))
      .choice("style", options.style,
              {{"none", StyleControl::kNone}, {"fastchat", StyleControl::kFastChat}},
              "With --votes: style features of the responses in the fit (length, headers, lists, "
              "bold text; difference / (sum + 1), as FastChat compares them), so that offsets are "
              "those at equal style.")
      .choice("cluster", options.cluster,
              {{"prompt", VoteCluster::kPrompt}, {"judge", VoteCluster::kJudge}},
              "With --votes: which votes are not independent of each other, for the intervals.")
      .integer("bootstrap", solve.bootstrap, "N",
               "Bootstrap replicates (prompts resampled, ratings drawn from their intervals); 0: "
               "no intervals.")
      .at_least(0)
      .integer("seed", solve.seed, "S",
               "Seed of the bootstrap and of the adam solver; the same seed gives the same file.")
      .flag("shrink", solve.shrink,
            "Shrink offsets towards 0 according to their standard errors (empirical Bayes; "
            "same-prompt mode). For policies with few prompts, whose offsets would otherwise be "
            "mostly noise.")
      .flag("leave-one-out", options.leave_one_out,
            "Leave-one-out cross-validation: refit without each policy but the reference, and "
            "report the effect of the others' offsets on its mismatch. Needs three or more "
            "policies and one fit per policy.")
      .number("holdout", options.holdout, "X",
              "Share of the prompts, 0 to 1, held out of the fit; win rates and mismatch on them "
              "are reported too. The split equals that of a recipe's holdout with the same seed.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true})
      .integer("min-prompts", options.min_prompts, "N",
               "Minimum number of common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .flag("strict", options.strict,
            "Prompts that only one policy of a pair answers are an error; by default they are "
            "counted and dropped.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated before the command fails.")
      .at_least(0);
}

void describe_command(OptionTable& table, CalibrateOptions& options) {
  table.paths("scores", options.scores, "FILE", "Files of charm score, one or more policies each.")
      .path("ratings", options.ratings, "FILE",
            "Arena ratings in Elo points: {\"name\": 1273}, a list, CSV or a catalogue. Required "
            "with --scores; with --votes a prior, weighted by its intervals.")
      .paths("votes", options.votes, "FILE",
             "Scored votes (charm score --votes) instead of --scores: the offsets are fitted to "
             "people's choices between the same responses, by maximum likelihood.")
      .path("output", options.output, "FILE",
            "calibration.json to write. A name in .csv gets the table of policies, - is standard "
            "output.")
      .required();
  storage::describe_ratings(table, options.category, options.date, options.aliases);
  table.path(
      "write-scores", options.write_scores, "DIR",
      "Also write copies of the scores files to this folder, with a column calibrated_score: "
      "score plus the policy's offset.");
  storage::describe_columns(table, options.columns);
  describe_settings(table, options);
}

}  // namespace charm::calibrate
