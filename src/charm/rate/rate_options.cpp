#include "charm/base/option_table.h"
#include "charm/rate/rate_stage.h"

namespace charm::rate {

void describe_settings(OptionTable& table, RateOptions& options) {
  table
      .pairs("anchor", options.anchor, "MODEL=SCORE",
             "Model with a fixed rating, Elo points; all others are relative to it. Without it the "
             "mean rating is 1000.")
      .choice("style", options.style,
              {{"none", StyleControl::kNone},
               {"fastchat", StyleControl::kFastChat},
               {"arena-rank", StyleControl::kArenaRank}},
              "Style control: covariates for length, headers, lists and bold text (contextual "
              "Bradley-Terry), as defined by FastChat or arena-rank; arena-rank's ridge of 1 on "
              "the mean loss leaves most of the style effect in the ratings.")
      .choice("ties", options.ties,
              {{"half", stats::TieModel::kHalf},
               {"davidson", stats::TieModel::kDavidson},
               {"rao-kupper", stats::TieModel::kRaoKupper}},
              "Ties: half a win and half a loss, as the Arena counts them, or modelled by Davidson "
              "(1970) or by Rao and Kupper (1967); the tie parameter is in the manifest.")
      .flag("order-effect", options.order_effect,
            "Estimate the advantage of being model_a, in log odds; it is in the manifest.")
      .number("prior-sd", options.prior_sd, "ELO",
              "Normal prior of all ratings around their mean with this standard deviation, Elo "
              "points (a ridge): models with few battles, or only wins or losses, get finite "
              "ratings. 200 is about the spread of the Arena.")
      .above(0)
      .integer("min-battles", options.min_battles, "N",
               "Models with fewer battles are dropped with a warning. Raise it if a model has won "
               "or lost all of its few battles.")
      .at_least(0)
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap replicates (over battles) for the 95 % intervals; 0: sandwich intervals, "
               "as in arena-rank.")
      .at_least(0)
      .integer("seed", options.seed, "S",
               "Seed of the bootstrap; the same seed gives the same file.")
      .flag("keep-named", options.keep_named,
            "Also use votes on models whose names the voter saw (column anony is false); the Arena "
            "counts anonymous votes alone.")
      .flag("keep-duplicates", options.keep_duplicates,
            "Also use votes that the Arena's de-duplication of frequent prompts leaves out "
            "(dedup_tag is not sampled).")
      .text("category-tag", options.category_tag, "PATH[=VALUE]",
            "Only rows whose tag is true: a column or a path into category_tag or "
            "occupational_tags, as is_code or math_v0.1.math; with =VALUE rows whose text, or "
            "list of texts, has the value, as language=en.")
      .text("baseline", options.baseline, "MODEL",
            "Baseline of arena-hard's verdicts that do not name it; gpt-4-0314 in v0.1.");
  storage::describe_reading(table, options.read);
}

void describe_command(OptionTable& table, RateOptions& options) {
  table
      .paths("battles", options.battles, "FILE",
             "Battles: rows of model_a, model_b, winner in any format that charm reads, or CSV; "
             "also Kaggle's winner_model_a, ... and arena-hard's verdicts.")
      .required()
      .path("output", options.output, "FILE", "ratings.json to write.")
      .required();
  describe_settings(table, options);
}

}  // namespace charm::rate
