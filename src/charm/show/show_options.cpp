#include "charm/base/option_table.h"
#include "charm/show/show_stage.h"
#include "charm/stats/elo.h"
#include "charm/storage/ratings.h"

namespace charm::show {

void describe_command(OptionTable& table, ShowOptions& options) {
  table
      .paths("scores", options.scores, "FILE",
             "Files of charm score, with their responses; one or more policies each.")
      .required()
      .path("ratings", options.ratings, "FILE",
            "Arena ratings: the offset is fitted to this pair alone. Give this or --calibration.")
      .path("calibration", options.calibration, "FILE", "Result of charm calibrate: its offsets.")
      .text("policy", options.policy, "NAME", "The policy, e.g. an over-valued one.")
      .required()
      .text("against", options.against, "NAME", "The policy to compare it with.")
      .required()
      .integer("top", options.top, "N", "Comparisons to show; 0: all.")
      .at_least(0)
      .choice(
          "sort", options.sort,
          {{"flips", stats::ComparisonOrder::kFlips}, {"margin", stats::ComparisonOrder::kMargin}},
          "flips: comparisons whose winner the offset changes first; margin: by score "
          "difference alone. Either way the largest differences in the direction that the "
          "offset corrects come first.")
      .path("output", options.output, "FILE",
            "Write the comparisons, texts in full, to a .jsonl or .csv file instead of the "
            "terminal.")
      .integer("width", options.width, "N", "Columns to wrap to; 0: those of the terminal.")
      .at_least(0)
      .integer("lines", options.lines, "N", "Lines of each text; 0: all of it.")
      .at_least(0);
  storage::describe_ratings(table, options.category, options.date, options.aliases);
  stats::describe_ties(table, options.ties);
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated per file before the command fails.")
      .at_least(0)
      .without_effect({"width", "lines"});
}

}  // namespace charm::show
