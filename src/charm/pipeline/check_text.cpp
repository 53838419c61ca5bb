#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "charm/pipeline/check.h"

namespace charm::pipeline {
namespace {

using Json = nlohmann::ordered_json;

std::string bytes_text(std::int64_t bytes) {
  constexpr double kMiB = 1024.0 * 1024.0;
  const double mib = static_cast<double>(bytes) / kMiB;
  return mib < 1024.0 ? fmt::format("{:.0f} MiB", mib) : fmt::format("{:.1f} GiB", mib / 1024.0);
}

/// Two units at most: an estimate has no more digits.
std::string duration_text(double seconds) {
  if (seconds < 0.5) return "under 1 s";
  if (seconds < 90.0) return fmt::format("{:.0f} s", seconds);
  if (seconds < 90.0 * 60.0) return fmt::format("{:.0f} min", seconds / 60.0);
  if (seconds < 48.0 * 3600.0) return fmt::format("{:.1f} h", seconds / 3600.0);
  return fmt::format("{:.1f} days", seconds / 86400.0);
}

std::string time_text(const TimeEstimate& time) {
  const bool is_short = time.total_s() < 0.5;
  std::string text = fmt::format("{}{} on this machine: score {}", is_short ? "" : "about ",
                                 duration_text(time.total_s()), duration_text(time.score_s));
  if (time.train_s > 0.0) text += fmt::format(", train {}", duration_text(time.train_s));
  if (time.rescore_s > 0.0) text += fmt::format(", score again {}", duration_text(time.rescore_s));
  if (time.evaluate_s > 0.0) text += fmt::format(", evaluate {}", duration_text(time.evaluate_s));
  return text;
}

std::string prompts_text(const Recipe& recipe, const RunSize& size) {
  if (recipe.holdout == 0.0) return fmt::format("{} that every policy answers", size.num_common);
  return fmt::format("{} that every policy answers: {} to calibrate and train, {} held out",
                     size.num_common, size.num_fit, size.num_held_out);
}

std::string resource_text(const Resource& resource, std::string_view of) {
  return fmt::format("about {} of {} {}", bytes_text(resource.needed_bytes),
                     bytes_text(resource.available_bytes), of);
}

Json resource_json(const std::optional<Resource>& resource) {
  if (!resource) return {};
  return {{"needed_bytes", resource->needed_bytes}, {"available_bytes", resource->available_bytes}};
}

}  // namespace

std::string check_text(const Recipe& recipe, const RecipeCheck& check) {
  std::string text;
  const auto line = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("{:<10} {}\n", name, value);
  };
  if (check.num_policies > 0)
    line("policies", fmt::format("{}, {} with a rating", check.num_policies, check.num_rated));
  if (!check.model.empty()) line("model", check.model);
  if (check.size.num_common > 0) line("prompts", prompts_text(recipe, check.size));
  if (check.size.num_responses > 0) {
    line("responses", fmt::format("{}, about {:.3g} M tokens to score", check.size.num_responses,
                                  check.size.score_tokens / 1e6));
  }
  if (check.time) line("time", time_text(*check.time));
  if (check.memory) line("memory", resource_text(*check.memory, "in all"));
  if (check.disk) line("disk", resource_text(*check.disk, "free"));
  for (const std::string& note : check.notes) line("note", note);
  for (const Error& problem : check.problems.errors()) line("problem", problem.message());
  return text;
}

Json check_json(const Recipe& recipe, const RecipeCheck& check) {
  Json json = {{"recipe", recipe.file.string()},
               {"num_policies", check.num_policies},
               {"num_rated", check.num_rated},
               {"model", check.model},
               {"num_responses", check.size.num_responses},
               {"num_prompts", check.size.num_common},
               {"num_prompts_fit", check.size.num_fit},
               {"num_prompts_held_out", check.size.num_held_out},
               {"num_tokens", static_cast<std::int64_t>(check.size.score_tokens)},
               {"seconds", Json()},
               {"memory", resource_json(check.memory)},
               {"disk", resource_json(check.disk)},
               {"notes", check.notes},
               {"problems", Json::array()}};
  if (check.time) {
    json["seconds"] = {{"score", check.time->score_s},
                       {"train", check.time->train_s},
                       {"rescore", check.time->rescore_s},
                       {"evaluate", check.time->evaluate_s},
                       {"total", check.time->total_s()}};
  }
  for (const Error& problem : check.problems.errors()) {
    json["problems"].push_back(
        {{"kind", error_kind_name(problem.kind())}, {"message", problem.message()}});
  }
  return json;
}

}  // namespace charm::pipeline
