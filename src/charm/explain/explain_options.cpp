#include "charm/base/option_table.h"
#include "charm/explain/explain_stage.h"
#include "charm/storage/ratings.h"
#include "charm/storage/read_options.h"

namespace charm::explain {

void describe_settings(OptionTable& table, ExplainOptions& options) {
  table
      .choice("pairs", options.pairs,
              {{"reference", ExplainPairs::kReference}, {"all", ExplainPairs::kAll}},
              "Pairs of policies to explain: each against the reference, as in calibration, or all "
              "pairs.")
      .integer("min-differing", options.settings.min_differing, "N",
               "Minimum number of prompts on which a feature differs between two policies; rarer "
               "features are dropped with a warning, because their intervals would be too narrow.")
      .at_least(2)
      .integer("min-prompts", options.min_prompts, "N",
               "Minimum number of common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated per file before the command fails.")
      .at_least(0)
      .integer("bootstrap", options.settings.bootstrap, "N",
               "Bootstrap replicates for the intervals of mismatch degrees and methods; 0: no "
               "intervals. Those of the regression need no resampling.")
      .at_least(0)
      .integer("seed", options.settings.seed, "S",
               "Seed of the bootstrap; the same seed gives the same file.");
}

void describe_command(OptionTable& table, ExplainOptions& options) {
  table
      .paths("scores", options.scores, "FILE",
             "Files of charm score, with their responses; one or more policies each.")
      .required()
      .path("calibration", options.calibration, "FILE",
            "Result of charm calibrate: reference, offsets, ratings, tie rule and the holdout "
            "split.")
      .path("output", options.output, "FILE",
            "explain.json to write. A name in .csv gets the table of pairs, - is standard output.")
      .required()
      .path("ratings", options.ratings, "FILE",
            "Arena ratings; with --calibration they replace its own.");
  storage::describe_ratings(table, options.category, options.date, options.aliases);
  storage::describe_columns(table, options.columns);
  table.text("reference", options.reference, "NAME", "Reference policy, without --calibration.")
      .paths("held-out-scores", options.held_out_scores, "FILE",
             "Scores of held-out prompts, on which methods are evaluated too.")
      .paths("reward-bench", options.reward_bench, "FILE",
             "Scores saved by charm evaluate --benchmark reward-bench, for the comparison of "
             "methods.")
      .paths("rm-bench", options.rm_bench, "FILE", "Likewise for RM-Bench.");
  describe_settings(table, options);
}

}  // namespace charm::explain
