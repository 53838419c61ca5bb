#include <algorithm>
#include <set>

#include "charm/generate/resolved_options.h"
#include "charm/generate/server_protocol.h"
#include "charm/pipeline/recipe_parts.h"
#include "charm/pipeline/recipe_sections.h"
#include "charm/records/response.h"

namespace charm::pipeline {
namespace {

/// Keys that do not affect the responses: an interrupted run may resume with different values.
bool is_transport(const Setting& setting) {
  static const std::set<std::string> kTransport = {
      "server",   "concurrency", "timeout",      "retries", "wait",
      "patience", "api-key-env", "max-bad-rows", "name",    "model"};
  return kTransport.count(setting.name) != 0;
}

/// Settings of the section `generate`, overridden by the policy's own.
void read_generation(const Section& top, const Section& section, std::uint64_t seed,
                     RecipePolicy& policy) {
  generate::GenerateStageOptions& options = policy.generation.emplace();
  options.policy = policy.name;
  options.sampling.seed = seed;
  OptionTable table;
  describe_settings(table, options);
  if (const YamlValue* shared = top.find("generate");
      shared != nullptr && shared->kind != YamlValue::Kind::kNull) {
    const Section defaults = top.child("generate", *shared);
    for (const char* own : {"model", "server", "server-model", "server_model"}) {
      if (defaults.find(own) != nullptr)
        refuse(defaults, defaults.find(own)->line,
               fmt::format("generate.{}: give it for each policy instead", own));
    }
    policy.settings = defaults.assign(table);
  }
  const std::vector<Setting> more = section.assign(table, {"name"});
  policy.settings.insert(policy.settings.end(), more.begin(), more.end());
  std::erase_if(policy.settings, is_transport);
  if (options.model_dir && !options.server.urls.empty())
    refuse(section, section.line(), "policies: give either 'model' or 'server'");
  if (options.model_dir)
    require_model(section, section.find("model")->line, "policies.model", *options.model_dir);
  if (!options.server.urls.empty() && options.server.model.empty()) {
    refuse(
        section, section.line(),
        fmt::format("policy '{}': key 'server-model' is missing, the model's name on the servers",
                    policy.name));
  }
  section.check_at(section.line(), fmt::format("policy '{}'", policy.name), [&] {
    generate::check_source(options);
    generate::resolved_server_options(options);
    for (const std::string& url : options.server.urls) generate::api_base(url);
  });
}

void read_responses(const Section& section, RecipePolicy& policy) {
  OptionTable table;
  describe_policy(table, policy);
  section.assign(table);
  if (section.find("responses") == nullptr) {
    refuse(section, section.line(),
           fmt::format("policy '{}': expected one of 'responses' (a file), 'model' (a folder) "
                       "and 'server' (an address)",
                       policy.name));
  }
  section.text("responses");
}

RecipePolicy read_policy(const Section& top, const Section& section, std::uint64_t seed) {
  RecipePolicy policy;
  policy.name = section.text("name");
  const bool generates = section.find("model") != nullptr || section.find("server") != nullptr;
  if (generates && section.find("responses") != nullptr) {
    refuse(section, section.line(),
           fmt::format("policy '{}': give one of 'responses', 'model' and 'server'", policy.name));
  }
  if (!generates) {
    read_responses(section, policy);
    return policy;
  }
  if (top.find("prepare") == nullptr) {
    refuse(
        section, section.line(),
        fmt::format("policy '{}' generates: key 'prepare' is missing, its prompts", policy.name));
  }
  read_generation(top, section, seed, policy);
  return policy;
}

}  // namespace

std::vector<RecipePolicy> read_policies(const Section& top, std::uint64_t seed) {
  const YamlValue* list = top.find("policies");
  if (list == nullptr)
    refuse(top, top.line(), "key 'policies' is missing: list the policies and their responses");
  if (list->kind != YamlValue::Kind::kList) {
    refuse(top, list->line,
           fmt::format("policies: expected a list, found {}", yaml_kind_name(list->kind)));
  }
  std::vector<RecipePolicy> policies;
  std::set<std::string> names, file_names;
  for (const YamlValue& item : list->items) {
    const bool is_read = top.problems().collect([&] {
      const Section section = top.child("policies", item);
      RecipePolicy policy = read_policy(top, section, seed);
      if (!names.insert(policy.name).second ||
          !file_names.insert(file_name_of(policy.name)).second) {
        refuse(section, item.line,
               fmt::format("policy '{}' is listed twice (or as a name that gives the same file)",
                           policy.name));
      }
      policies.push_back(std::move(policy));
    });
    // Other sections may name it all the same.
    const YamlValue* name = item.find("name");
    if (!is_read && name != nullptr) policies.emplace_back().name = name->text;
  }
  if (list->items.size() < 2) {
    refuse(top, list->line,
           fmt::format("policies: expected at least 2, found {}", list->items.size()));
  }
  return policies;
}

}  // namespace charm::pipeline
