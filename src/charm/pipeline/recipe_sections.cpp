#include "charm/pipeline/recipe_sections.h"

#include <algorithm>

#include "charm/storage/ratings.h"

namespace charm::pipeline {
namespace {

void rename(YamlValue& section, const fs::path& file, std::vector<std::string>& renamed) {
  for (YamlMember& member : section.members) {
    const std::string spelled = option_spelling(member.name);
    for (const SectionName& known : section_names()) {
      if (known.former.empty() || spelled != option_spelling(known.former)) continue;
      if (section.find(known.name) != nullptr) {
        throw Error(ErrorKind::kInput, "{}:{}: section '{}' is given as '{}' too; keep one",
                    file.string(), member.line, known.name, member.name);
      }
      const std::string what = fmt::format("{} -> {}", member.name, known.name);
      if (std::find(renamed.begin(), renamed.end(), what) == renamed.end()) renamed.push_back(what);
      member.name = known.name;
    }
  }
}

YamlMember* member_of(YamlValue& section, std::string_view name) {
  for (YamlMember& member : section.members) {
    if (option_spelling(member.name) == name) return &member;
  }
  return nullptr;
}

}  // namespace

const std::vector<SectionName>& section_names() {
  static const std::vector<SectionName> kNames = {
      {"prepare", "prompts"},  {"generate", "generation"},   {"score", "reward_model"},
      {"measure", "mismatch"}, {"calibrate", "calibration"}, {"prefer", "preferences"},
      {"train", "training"},   {"evaluate", "evaluation"},   {"explain", ""},
      {"report", ""}};
  return kNames;
}

std::vector<std::string> rename_sections(YamlValue& recipe, const fs::path& file) {
  std::vector<std::string> renamed;
  rename(recipe, file, renamed);
  YamlMember* calibrate = member_of(recipe, "calibrate");
  YamlMember* sets = calibrate == nullptr ? nullptr : member_of(calibrate->value, "sets");
  if (sets == nullptr) return renamed;
  for (YamlMember& set : sets->value.members) rename(set.value, file, renamed);
  return renamed;
}

void describe_top(OptionTable& table, Recipe& recipe) {
  table
      .path("run-dir", recipe.run_dir, "DIR",
            "Folder of all outputs. Finished steps in it are kept by later runs.")
      .required()
      .integer("seed", recipe.seed, "S",
               "Of every draw: split, bootstrap, shuffling. The same seed gives the same files.")
      .number("holdout", recipe.holdout, "X",
              "Share of the prompts held out of calibration and training, from 0 up to 1: mismatch "
              "and results after training are measured on them. 0.2 to 0.4 where some hundred "
              "prompts remain on both sides; 0: none.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true})
      .paths("votes", recipe.votes, "FILE",
             "People's votes with both texts (see charm score --votes). The run scores them "
             "(votes/<rm>.parquet) and measures the reward model against them "
             "(mismatch/<rm>.votes.json); `calibrate` and `evaluate` may use them.");
}

void describe_prepare(OptionTable& table, prepare::PrepareOptions& options) {
  table
      .path("input", options.input, "FILE",
            "Data set of prompts; the section may also be this path alone. Without the section "
            "the prompts are those of the responses.")
      .required();
  describe_settings(table, options);
}

void describe_policy(OptionTable& table, RecipePolicy& policy) {
  table.text("name", policy.name, "NAME", "The policy's name in ratings and results.")
      .required()
      .path("responses", policy.responses, "FILE",
            "Its responses, any data set with prompt and response. Instead, `model` or `server` "
            "and the other keys of `generate` make them from the prompts of `prepare`.")
      .text("split", policy.split, "NAME", "Split of a data set that has several.");
  storage::describe_columns(table, policy.columns);
}

void describe_ratings_section(OptionTable& table, RecipeRatings& ratings) {
  table
      .path("file", ratings.file, "FILE",
            "Arena ratings in Elo points; the section may also be this path alone.")
      .required();
  storage::describe_ratings(table, ratings.category, ratings.date, ratings.aliases);
}

void describe_score(OptionTable& table, RecipeRewardModel& model) {
  table
      .path("model", model.score.model_dir, "DIR",
            "Hugging Face folder of the reward model; the section may also be this path alone.")
      .required()
      .text("name", model.name, "NAME", "Its name in the run; default: the folder's name.");
  storage::describe_columns(table, model.score.columns);
  describe_settings(table, model.score);
}

void describe_calibration(OptionTable& table, RecipeCalibration& calibration) {
  describe_settings(table, calibration.options);
  table
      .flag("votes", calibration.votes,
            "Fit the offsets to the recipe's `votes` (charm calibrate --votes) instead of the "
            "ratings. The recipe's `holdout` then holds out votes by their prompts.")
      .flag("rating-prior", calibration.rating_prior,
            "With `votes`: the ratings are a prior of the offsets.");
}

void describe_evaluation(OptionTable& table, RecipeEvaluation& evaluation) {
  table
      .text("benchmark", evaluation.benchmark,
            "reward-bench|reward-bench-2|rm-bench|judge-bench|rmb|ppe|arena|votes|best-of-n",
            "The benchmark. arena: correlation of the run's own scores with the ratings; votes: "
            "prediction of the recipe's `votes`; best-of-n: audit of what best-of-n picks from the "
            "run's own scores.")
      .required()
      .text("name", evaluation.name, "NAME", "Its name in the run; default: the benchmark's.")
      .paths("data", evaluation.options.data, "FILE",
             "The benchmark's files; not for arena, votes and best-of-n.")
      .text("calibration", evaluation.calibration, "SET",
            "votes, best-of-n: the set whose offsets are evaluated on the given reward model; by "
            "default the first (votes: the first fitted to votes). A fine-tuned model is audited "
            "against the given one.");
  describe_settings(table, evaluation.options);
}

}  // namespace charm::pipeline
