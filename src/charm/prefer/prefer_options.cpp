#include "charm/base/error.h"
#include "charm/base/option_table.h"
#include "charm/prefer/prefer.h"

namespace charm::prefer {

void describe_settings(OptionTable& table, PreferOptions& options) {
  Option pairs{.name = "pairs", .value_name = "best-worst|vs-reference|all", .default_text = "all"};
  pairs.help =
      "Pairs per prompt, ordered by calibrated score. all: every pair of policies, which includes "
      "most of the close pairs whose order the offsets change, and raised the correlation with "
      "Arena most (docs/results.md); train with --shuffle prompts. vs-reference: every policy "
      "against the reference. best-worst: the highest against the lowest, which most reward models "
      "already order correctly. With two policies they are the same. Not with --best-of-n, which "
      "takes one pair per prompt.";
  pairs.value = [&options] {
    return OptionValue(std::string(pairs_name(options.pairing.pairs.value_or(Pairs::kAll))));
  };
  pairs.assign = [&options, known = pairs.value_name](const std::vector<std::string>& values) {
    const std::string& word = values.front();
    if (word == "best-worst") {
      options.pairing.pairs = Pairs::kBestWorst;
    } else if (word == "vs-reference") {
      options.pairing.pairs = Pairs::kVsReference;
    } else if (word == "all") {
      options.pairing.pairs = Pairs::kAll;
    } else {
      throw Error(ErrorKind::kUsage, "expected {}, found '{}'", known, word);
    }
  };
  table.add(std::move(pairs))
      .choice("ties", options.pairing.ties, {{"drop", Ties::kDrop}, {"keep", Ties::kKeep}},
              "Pairs with equal calibrated scores: drop them, or keep them with margin 0.")
      .number("min-margin", options.pairing.min_margin, "X",
              "Minimum margin: difference of calibrated scores, in score units. Raise it for fewer "
              "pairs with larger margins.")
      .at_least(0)
      .flag("best-of-n", options.pairing.best_of_n,
            "One pair per prompt from all its responses, of any policy and sample number; the best "
            "calibrated score is chosen. For several samples per policy (column sample); without "
            "it, pairs are joined on the sample number.")
      .choice("rejected", options.pairing.rejected,
              {{"worst", Rejected::kWorst}, {"random", Rejected::kRandom}},
              "With --best-of-n, the rejected response: worst is the lowest score; random is any "
              "response below the best, which gives harder pairs.")
      .integer("seed", options.pairing.seed, "S",
               "Seed of --rejected random; the same seed gives the same file.")
      .flag("strict", options.strict,
            "Prompts without a response of some calibrated policy are an error; by default they "
            "are counted.")
      .flag("strip-thinking", options.strip_thinking,
            "Remove the reasoning, <think>...</think>, that a response begins with; use it where "
            "the scores were computed so.");
  storage::describe_reading(table, options.read);
}

void describe_command(OptionTable& table, PreferOptions& options) {
  table
      .paths("scores", options.scores, "FILE",
             "Files of charm score, with their texts; one or more policies each.")
      .required()
      .path("calibration", options.calibration, "FILE",
            "Result of charm calibrate, or a JSON map {policy: offset}.")
      .required()
      .path("output", options.output, "FILE",
            "Preferences to write: .parquet, .jsonl or .jsonl.gz, or - for JSON lines on standard "
            "output.")
      .required();
  storage::describe_columns(table, options.read.columns);
  describe_settings(table, options);
}

}  // namespace charm::prefer
