#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "charm/pipeline/recipe_parts.h"
#include "charm/pipeline/recipe_sections.h"

namespace charm::pipeline {
namespace {

/// The set whose offsets an evaluation of votes or an audit takes.
void choose_calibration(const Section& section, const Recipe& recipe,
                        RecipeEvaluation& evaluation) {
  const bool is_votes = evaluation.options.benchmark == evaluate::Benchmark::kVotes;
  const bool is_audit = evaluation.options.benchmark == evaluate::Benchmark::kBestOfN;
  const auto is_set = [&](const RecipeCalibration& one) {
    return evaluation.calibration.empty() ? is_audit || one.votes
                                          : one.set == evaluation.calibration;
  };
  const auto found = std::ranges::find_if(recipe.calibrations, is_set);
  if (evaluation.calibration.empty()) {
    if ((is_votes || is_audit) && found != recipe.calibrations.end())
      evaluation.calibration = found->set;
    return;
  }
  const int line = section.find("calibration")->line;
  if (!is_votes && !is_audit)
    refuse(section, line, "evaluate.calibration: only votes and best-of-n evaluate offsets");
  if (found == recipe.calibrations.end()) {
    refuse(
        section, line,
        fmt::format("evaluate.calibration: '{}' is no set of 'calibrate'", evaluation.calibration));
  }
}

RecipeEvaluation read_evaluation(const Section& section, const Recipe& recipe) {
  RecipeEvaluation evaluation;
  evaluation.options.seed = recipe.seed;
  evaluation.options.model = recipe.reward_model.score.model;
  evaluation.options.encoder = recipe.reward_model.score.encoder;
  evaluation.options.scorer = recipe.reward_model.score.scorer;
  OptionTable table;
  describe_evaluation(table, evaluation);
  evaluation.settings = section.assign(table);
  std::erase_if(evaluation.settings, [](const Setting& setting) {
    return setting.name == "data" || setting.name == "benchmark";
  });
  const std::string benchmark = section.text("benchmark");
  section.check_at(section.find("benchmark")->line, "evaluate.benchmark",
                   [&] { evaluation.options.benchmark = evaluate::parse_benchmark(benchmark); });
  evaluation.settings.push_back({.name = "benchmark", .values = {benchmark}});
  using enum evaluate::Benchmark;
  const evaluate::Benchmark kind = evaluation.options.benchmark;
  const bool arena = kind == kArena;
  const bool uses_run = arena || kind == kVotes || kind == kBestOfN;
  if (uses_run && !evaluation.options.data.empty()) {
    refuse(section, section.line(),
           fmt::format("evaluate: {} uses the run's own scores; remove 'data'", benchmark));
  }
  if (kind == kVotes && recipe.votes.empty())
    refuse(section, section.line(), "evaluate: votes: the recipe has no 'votes', people's votes");
  choose_calibration(section, recipe, evaluation);
  if (arena && evaluation.options.limit_per_subset > 0)
    refuse(section, section.line(), "evaluate: arena has no subsets; remove 'limit_per_subset'");
  constexpr std::size_t kFewestForArena = 3;
  if (arena && recipe.policies.size() < kFewestForArena) {
    refuse(section, section.line(),
           fmt::format("evaluate: arena correlates scores with ratings and needs at least {} "
                       "policies, found {}; remove it",
                       kFewestForArena, recipe.policies.size()));
  }
  if (!uses_run && evaluation.options.data.empty())
    refuse(section, section.line(), "evaluate: key 'data' is missing");
  if (evaluation.name.empty()) evaluation.name = benchmark;
  evaluation.name = file_name_of(evaluation.name);
  return evaluation;
}

}  // namespace

std::vector<RecipeEvaluation> read_evaluations(const Section& top, const Recipe& recipe) {
  const YamlValue* value = top.find("evaluate");
  if (value == nullptr) return {};
  if (value->kind != YamlValue::Kind::kList) {
    refuse(top, value->line,
           fmt::format("evaluate: expected a list of benchmarks, found {}",
                       yaml_kind_name(value->kind)));
  }
  std::vector<RecipeEvaluation> all;
  std::set<std::string> names;
  for (const YamlValue& item : value->items) {
    top.problems().collect([&] {
      const Section section = top.child("evaluate", item);
      all.push_back(read_evaluation(section, recipe));
      if (!names.insert(all.back().name).second) {
        refuse(section, item.line,
               fmt::format("evaluate: two entries are named '{}'; give one another 'name'",
                           all.back().name));
      }
    });
  }
  return all;
}

}  // namespace charm::pipeline
