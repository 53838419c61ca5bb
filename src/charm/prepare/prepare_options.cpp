#include "charm/base/option_table.h"
#include "charm/prepare/prepare.h"

namespace charm::prepare {

void describe_settings(OptionTable& table, PrepareOptions& options) {
  table
      .integer("limit", options.limit, "N",
               "Maximum number of prompts: the first ones, or with --seed a random sample.")
      .at_least(1)
      .integer("seed", options.seed, "S",
               "With --limit, sample the prompts at random with this seed.")
      .flag("dedupe", options.dedupe,
            "Drop exact duplicates; without it they get the ids ID-2, ID-3, ...")
      .number(
          "near-duplicates", options.near_duplicates, "X",
          "Also drop near-duplicates of earlier prompts: minimum Jaccard similarity of 5-character "
          "n-grams, 0 to 1, ignoring case and punctuation. 0.8 finds copies with a word changed.")
      .range({.lowest = 0.0, .highest = 1.0, .above_lowest = true})
      .integer("min-chars", options.min_chars, "N",
               "Drop prompts of fewer characters (all turns except the system's).")
      .at_least(0)
      .integer("max-chars", options.max_chars, "N", "Drop prompts of more characters.")
      .at_least(1)
      .paths("exclude", options.exclude, "FILE",
             "Benchmarks (any data sets with prompts) whose prompts are excluded from the output "
             "(decontamination). Excluded prompts are listed in <output>.excluded.jsonl.")
      .number("exclude-overlap", options.exclude_overlap, "X",
              "With --exclude, minimum share of common 8-word n-grams, of the prompt's or of the "
              "benchmark prompt's, at which a prompt is excluded.")
      .range({.lowest = 0.0, .highest = 1.0, .above_lowest = true})
      .choice("turns", options.turns,
              {{"auto", storage::PromptTurns::kFirstOfPairs},
               {"first", storage::PromptTurns::kFirst},
               {"all", storage::PromptTurns::kAll}},
              "Turns that form the prompt. auto: of preference pairs without a prompt column the "
              "first user turn, of conversations everything before the final answer.");
  storage::describe_reading(table, options.read);
  storage::describe_prompt_column(table, options.read.columns);
}

void describe_command(OptionTable& table, PrepareOptions& options) {
  table
      .path("input", options.input, "SRC",
            "Data set with prompts: columns prompt (text or messages), instruction, messages, or "
            "preference pairs.")
      .required()
      .path("output", options.output, "FILE", "prompts.parquet, or .jsonl or .jsonl.gz.")
      .required();
  describe_settings(table, options);
}

}  // namespace charm::prepare
