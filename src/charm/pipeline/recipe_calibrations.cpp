#include <algorithm>
#include <set>

#include "charm/pipeline/recipe_parts.h"
#include "charm/pipeline/recipe_sections.h"
#include "charm/train/train_stage.h"

namespace charm::pipeline {
namespace {

void check_set(const Section& section, RecipeCalibration& calibration,
               const std::vector<RecipePolicy>& policies) {
  calibrate::CalibrateOptions& options = calibration.options;
  if (options.policies.empty()) {
    for (const RecipePolicy& policy : policies) options.policies.push_back(policy.name);
  }
  const auto known = [&](const std::string& name) {
    return std::any_of(policies.begin(), policies.end(),
                       [&](const RecipePolicy& policy) { return policy.name == name; });
  };
  for (const std::string& name : options.policies) {
    if (!known(name))
      refuse(section, section.line(),
             fmt::format("{}: '{}' is not among the policies", section.name(), name));
  }
  if (options.reference.empty())
    refuse(section, section.line(), fmt::format("{}: key 'reference' is missing", section.name()));
  if (!known(options.reference)) {
    refuse(section, section.line(),
           fmt::format("{}: reference '{}' is not among the policies", section.name(),
                       options.reference));
  }
  if (std::find(options.policies.begin(), options.policies.end(), options.reference) ==
      options.policies.end()) {
    options.policies.push_back(options.reference);
  }
  if (options.policies.size() < 2) {
    refuse(section, section.line(),
           fmt::format("{}: expected a policy beside the reference", section.name()));
  }
  section.check_at(section.line(), section.name(), [&] {
    if (calibration.votes) return calibrate::check_settings(options.solve);
    calibrate::check_settings(options);
  });
  if (options.leave_one_out && options.policies.size() < 3) {
    refuse(section, section.line(),
           fmt::format("{}: leave_one_out needs three or more policies, found {}", section.name(),
                       options.policies.size()));
  }
}

void check_votes(const Section& section, const Section& top, const RecipeCalibration& calibration) {
  if (calibration.votes && top.find("votes") == nullptr) {
    refuse(section, section.line(),
           fmt::format("{}: votes: the recipe has no 'votes', the files of people's votes",
                       section.name()));
  }
  if (calibration.rating_prior && !calibration.votes) {
    refuse(section, section.line(),
           fmt::format("{}: rating_prior: without 'votes: true' the ratings are the target",
                       section.name()));
  }
}

/// Default name of a set: the over-valued policy and its reference, or "all" if it has all
/// policies.
std::string default_set_name(const calibrate::CalibrateOptions& options, std::size_t num_policies) {
  if (options.policies.size() == num_policies && num_policies > 2) return "all";
  std::string name;
  for (const std::string& policy : options.policies) {
    if (policy != options.reference) name += policy + "-";
  }
  return name + options.reference;
}

/// Settings of the recipe's section `name`, overridden by those of the set.
std::vector<Setting> read_overridden(const Section& top, const Section* own,
                                     const std::string& name, const OptionTable& table) {
  std::vector<Setting> settings = read_settings(top, name, table);
  const YamlValue* value = own == nullptr ? nullptr : own->find(name);
  if (value == nullptr || value->kind == YamlValue::Kind::kNull) return settings;
  const std::vector<Setting> more =
      own->child(fmt::format("{}.{}", own->name(), name), *value).assign(table);
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

/// Settings that exclude each other, which a section and that of a set may give together.
template <typename Check>
void check_section(const Section& top, const Section* own, const std::string& name,
                   const Check& check) {
  const YamlValue* value = own == nullptr ? nullptr : own->find(name);
  if (value == nullptr) value = top.find(name);
  if (value != nullptr) top.check_at(value->line, name, check);
}

void read_pairs_and_training(const Section& top, const Section* own, std::uint64_t seed,
                             RecipeCalibration& calibration) {
  OptionTable preferences;
  calibration.preferences.pairing.seed = seed;
  describe_settings(preferences, calibration.preferences);
  calibration.preference_settings = read_overridden(top, own, "prefer", preferences);
  check_section(top, own, "prefer", [&] { prefer::check_settings(calibration.preferences); });
  OptionTable training;
  calibration.training.seed = seed;
  describe_settings(training, calibration.training);
  calibration.training_settings = read_overridden(top, own, "train", training);
  check_section(top, own, "train", [&] { train::check_options(calibration.training); });
  if (own != nullptr && own->find("train") != nullptr && top.find("train") == nullptr) {
    refuse(*own, own->find("train")->line,
           fmt::format("{}.train: the recipe has no section 'train' to override", own->name()));
  }
}

}  // namespace

std::vector<RecipeCalibration> read_calibrations(const Section& top, std::uint64_t seed,
                                                 const std::vector<RecipePolicy>& policies) {
  const YamlValue* value = top.find("calibrate");
  if (value == nullptr) return {};
  const Section section = top.child("calibrate", *value);
  const auto read_one = [&](std::string set, const Section* own) {
    RecipeCalibration calibration;
    calibration.set = std::move(set);
    calibration.options.solve.seed = seed;
    OptionTable table;
    describe_calibration(table, calibration);
    calibration.settings = section.assign(table, {"sets"});
    if (own != nullptr) {
      std::vector<Setting> more = own->assign(table, {"prefer", "train"});
      calibration.settings.insert(calibration.settings.end(), more.begin(), more.end());
    }
    check_votes(own != nullptr ? *own : section, top, calibration);
    check_set(own != nullptr ? *own : section, calibration, policies);
    read_pairs_and_training(top, own, seed, calibration);
    if (calibration.set.empty())
      calibration.set = default_set_name(calibration.options, policies.size());
    calibration.set = file_name_of(calibration.set);
    return calibration;
  };
  const YamlValue* sets = section.find("sets");
  if (sets == nullptr) return {read_one("", nullptr)};
  std::vector<RecipeCalibration> all;
  std::set<std::string> names;
  const Section list = section.child("calibrate.sets", *sets);
  for (const YamlMember& member : sets->members) {
    list.problems().collect([&] {
      const Section own = list.child("calibrate.sets." + member.name, member.value);
      all.push_back(read_one(member.name, &own));
      if (!names.insert(all.back().set).second)
        refuse(own, member.line, "two sets have the same file name");
    });
  }
  if (sets->members.empty())
    refuse(section, sets->line, "calibrate.sets: expected at least one set");
  return all;
}

}  // namespace charm::pipeline
