#include <algorithm>

#include "charm/pipeline/recipe_sections.h"

namespace charm::pipeline {
namespace {

std::string key_of(const Option& option) {
  std::string key = option.name;
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

/// `|` ends a cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

std::string value_text(const Option& option) {
  switch (option.form) {
    case Option::Form::kFlag:
      return "true\\|false";
    case Option::Form::kList:
      return "list of " + cell(option.value_name);
    case Option::Form::kValue:
      break;
  }
  return cell(option.value_name);
}

std::string table_text(const OptionTable& table) {
  std::string text = "| key | value | default | |\n| --- | --- | --- | --- |\n";
  for (const Option& option : table.options()) {
    const bool is_false = option.form == Option::Form::kFlag;
    text += fmt::format("| `{}` | {} | {} | {} |\n", key_of(option), value_text(option),
                        option.required ? "required"
                        : is_false      ? "false"
                                        : cell(option.default_text),
                        cell(option.help));
  }
  return text + "\n";
}

/// The keys that `describe` adds for a default-constructed `Fields`.
template <typename Fields>
std::string keys_of(void (*describe)(OptionTable&, Fields&)) {
  Fields fields;
  OptionTable table;
  describe(table, fields);
  return table_text(table);
}

template <typename Fields>
std::string section(std::string_view name, std::string_view what,
                    void (*describe)(OptionTable&, Fields&)) {
  return fmt::format("## {}\n\n{}\n\n{}", name, what, keys_of(describe));
}

std::string former_names() {
  std::string text;
  for (const SectionName& one : section_names()) {
    if (one.former.empty()) continue;
    text += fmt::format("{}`{}` ({})", text.empty() ? "" : ", ", one.former, one.name);
  }
  return text;
}

}  // namespace

std::string recipe_reference() {
  std::string text =
      "# Recipes\n"
      "\n"
      "Written by `charm --help-recipe`; a test compares this page with the program. After "
      "changing "
      "an option, run\n"
      "`charm --help-recipe > docs/recipes.md`.\n"
      "\n"
      "A recipe is a YAML file that `charm run` executes, `charm check` checks before any work, "
      "and "
      "`charm init` writes from\n"
      "a folder of responses. Its sections have the names of the commands and take their options "
      "as keys, written with\n"
      "`_`; `-` is accepted as well. Paths are relative to the recipe. An unknown key is an error "
      "that names the nearest one.\n"
      "Sections `prefer` and `train` are optional: without `train` a run ends with the preference "
      "pairs, without `calibrate`\n"
      "with the mismatch. Accepted former names: " +
      former_names() +
      ".\n"
      "\n"
      "```yaml\n"
      "run_dir: run\n"
      "holdout: 0.2\n"
      "policies:\n"
      "  - {name: gemma-2-9b-it-SimPO, responses: gemma-2-9b-it-SimPO.jsonl}\n"
      "  - {name: gpt-4o-mini, responses: gpt-4o-mini.jsonl}\n"
      "ratings: ratings.json\n"
      "score: {model: my-rm, max_tokens: 4096}\n"
      "calibrate: {reference: gpt-4o-mini}\n"
      "prefer: {pairs: all}\n"
      "train: {learning_rate: 2e-6, shuffle: prompts}\n"
      "evaluate:\n"
      "  - {benchmark: arena}\n"
      "```\n"
      "\n";
  text += section("Top level", "Beside the sections:", describe_top);
  text += section("policies", "A list; each policy has", describe_policy);
  text += section("ratings", "The policies' Arena ratings.", describe_ratings_section);
  text += section("prepare", "The prompts; see `charm prepare`.", describe_prepare);
  text += section<generate::GenerateStageOptions>(
      "generate",
      "Defaults of all policies that generate, each of which may override them; `model`, `server` "
      "and `server_model` stand\nin the policy. See `charm generate`.",
      generate::describe_settings);
  text += section("score", "The reward model; see `charm score`.", describe_score);
  text += section<measure::MeasureOptions>("measure", "See `charm measure`.",
                                           measure::describe_settings);
  text += section(
      "calibrate",
      "One calibration of all policies, or several: `sets` maps names to sections with the same "
      "keys, which override these and\nmay have `prefer` and `train` of their own. See `charm "
      "calibrate`.",
      describe_calibration);
  text +=
      section<prefer::PreferOptions>("prefer", "See `charm prefer`.", prefer::describe_settings);
  text += section<train::TrainOptions>("train", "See `charm train`.", train::describe_settings);
  text += section("evaluate", "A list; each benchmark has", describe_evaluation);
  text += section<explain::ExplainOptions>("explain", "See `charm explain`.",
                                           explain::describe_settings);
  text +=
      section<report::ReportOptions>("report", "See `charm report`.", report::describe_settings);
  text.pop_back();
  return text;
}

}  // namespace charm::pipeline
