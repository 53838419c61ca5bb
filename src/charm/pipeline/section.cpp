#include "charm/pipeline/section.h"

#include <algorithm>

#include "charm/base/option_table.h"
#include "charm/base/strings.h"
#include "charm/hub/hub_cache.h"

namespace charm::pipeline {
namespace {

/// The value of an option as command line arguments.
std::vector<std::string> arguments_of(const Option& option, const YamlValue& value,
                                      const fs::path& file) {
  std::vector<std::string> arguments;
  const auto expect_scalar = [](const YamlValue& item) {
    if (item.kind != YamlValue::Kind::kScalar) {
      throw Error(ErrorKind::kInput, "expected a single value, found {}",
                  yaml_kind_name(item.kind));
    }
    return item.text;
  };
  if (option.form == Option::Form::kList && value.kind == YamlValue::Kind::kList) {
    for (const YamlValue& item : value.items) arguments.push_back(expect_scalar(item));
  } else if (option.form == Option::Form::kList && value.kind == YamlValue::Kind::kMap &&
             !option.is_path) {
    for (const YamlMember& member : value.members)
      arguments.push_back(member.name + "=" + expect_scalar(member.value));
  } else {
    arguments.push_back(expect_scalar(value));
  }
  if (arguments.empty())
    throw Error(ErrorKind::kInput, "expected at least one value, found an empty list");
  if (option.form == Option::Form::kFlag && arguments.front() != "true" &&
      arguments.front() != "false") {
    throw Error(ErrorKind::kInput, "expected true or false, found '{}'", arguments.front());
  }
  for (std::string& argument : arguments) {
    // A path's value name may list words beside it: "DIR|none".
    const bool is_word =
        fmt::format("|{}|", option.value_name).find(fmt::format("|{}|", argument)) !=
        std::string::npos;
    if (option.is_path && !is_word) argument = resolve_path(file, argument).string();
  }
  return arguments;
}

/// The file of an option that reads one.
void require_file(const Option& option, const std::vector<std::string>& paths) {
  if (option.value_name != "FILE") return;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!hub::is_hub_source(path) && !fs::exists(path, error))
      throw Error(ErrorKind::kIo, "'{}' does not exist", path);
  }
}

}  // namespace

fs::path resolve_path(const fs::path& recipe, const std::string& text) {
  if (hub::is_hub_source(text)) return text;
  return (recipe.parent_path() / fs::path(text)).lexically_normal();
}

Section::Section(const fs::path& file, std::string name, const YamlValue& value, Problems& problems)
    : file_(file), name_(std::move(name)), value_(&value), problems_(&problems) {
  if (value.kind != YamlValue::Kind::kMap) {
    throw Error(ErrorKind::kInput, "{}{}: expected a map of keys, found {}", at(value.line), name_,
                yaml_kind_name(value.kind));
  }
}

std::string Section::key(std::string_view member) const {
  return name_ == kTop ? std::string(member) : fmt::format("{}.{}", name_, member);
}

std::string Section::at(int line) const { return fmt::format("{}:{}: ", file_.string(), line); }

std::vector<Setting> Section::assign(const OptionTable& table,
                                     const std::vector<std::string>& others) const {
  std::vector<Setting> settings;
  for (const YamlMember& member : value_->members) {
    const std::string spelled = option_spelling(member.name);
    if (std::any_of(others.begin(), others.end(),
                    [&](const std::string& other) { return option_spelling(other) == spelled; })) {
      continue;
    }
    const Option* option = table.find(spelled);
    if (option == nullptr) {
      std::vector<std::string> known = others;
      for (const Option& one : table.options()) known.push_back(one.name);
      std::string known_key = meant_option(spelled, known);
      std::replace(known_key.begin(), known_key.end(), '-', '_');
      problems_->add({ErrorKind::kInput, "{}unknown key '{}' in {}; the nearest known key is '{}'",
                      at(member.line), member.name, name_, known_key});
      continue;
    }
    problems_->collect([&] {
      check_at(member.line, key(member.name), [&] {
        std::vector<std::string> arguments = arguments_of(*option, member.value, file_);
        option->assign(arguments);
        require_file(*option, arguments);
        settings.push_back({.name = option->name, .values = std::move(arguments)});
      });
    });
  }
  std::sort(settings.begin(), settings.end(),
            [](const Setting& a, const Setting& b) { return a.name < b.name; });
  return settings;
}

std::string Section::text(std::string_view name) const {
  const YamlValue* value = find(name);
  if (value == nullptr)
    throw Error(ErrorKind::kInput, "{}{}: key '{}' is missing", at(line()), name_, name);
  if (value->kind != YamlValue::Kind::kScalar || value->text.empty()) {
    throw Error(ErrorKind::kInput, "{}{}: expected a single value, found {}", at(value->line),
                key(name), yaml_kind_name(value->kind));
  }
  return value->text;
}

std::vector<std::string> Section::texts(std::string_view name) const {
  const YamlValue* value = find(name);
  if (value == nullptr) return {};
  if (value->kind != YamlValue::Kind::kList) return {text(name)};
  std::vector<std::string> all;
  for (const YamlValue& item : value->items) {
    if (item.kind != YamlValue::Kind::kScalar) {
      throw Error(ErrorKind::kInput, "{}{}: expected single values, found {}", at(item.line),
                  key(name), yaml_kind_name(item.kind));
    }
    all.push_back(item.text);
  }
  return all;
}

}  // namespace charm::pipeline
