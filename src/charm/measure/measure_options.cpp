#include "charm/measure/measure_stage.h"
#include "charm/stats/elo.h"
#include "charm/storage/ratings.h"
#include "charm/storage/read_options.h"

namespace charm::measure {

void describe_settings(OptionTable& table, MeasureOptions& options) {
  stats::describe_ties(table, options.ties);
  table
      .integer("min-prompts", options.min_prompts, "N",
               "Minimum number of common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .flag("strict", options.strict,
            "Prompts that only one policy of a pair answers are an error; by default they are "
            "counted and dropped.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated before the command fails.")
      .at_least(0)
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap replicates (prompts resampled, ratings drawn from their intervals) for "
               "the 95 % intervals; 0: no intervals.")
      .at_least(0)
      .integer("seed", options.seed, "S",
               "Seed of the bootstrap; the same seed gives the same file.");
}

void describe_command(OptionTable& table, MeasureOptions& options) {
  table.paths("scores", options.scores, "FILE", "Files of charm score, one or more policies each.")
      .path("ratings", options.ratings, "FILE",
            "Arena ratings in Elo points: {\"name\": 1273}, a list, CSV or a catalogue. Required "
            "with --scores.")
      .paths("votes", options.votes, "FILE",
             "Scored votes (charm score --votes) instead of --scores and --ratings: the target is "
             "people's win rate on the same responses, ties half.")
      .path("output", options.output, "FILE",
            "mismatch.json to write. A name in .csv gets the table of pairs, - is standard output.")
      .required();
  storage::describe_ratings(table, options.category, options.date, options.aliases);
  storage::describe_columns(table, options.columns);
  table
      .number("holdout", options.holdout, "X",
              "Measure on this share of the prompts only: those that charm calibrate --holdout X "
              "with the same seed holds out of offsets and pairs; 0: on all prompts.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true});
  describe_settings(table, options);
}

}  // namespace charm::measure
