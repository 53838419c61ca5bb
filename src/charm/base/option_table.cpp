#include "charm/base/option_table.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "charm/base/check.h"

namespace charm {
namespace {

std::string number_text(double value) { return fmt::format("{}", value); }

std::optional<double> finite_number(const std::string& text) {
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || text.empty() || !std::isfinite(value)) return {};
  return value;
}

/// An empty path is ambiguous: the current folder, or none.
fs::path parse_path(const std::string& text) {
  if (text.empty()) throw Error(ErrorKind::kUsage, "expected a path, found an empty string");
  return text;
}

Option make(std::string name, std::string value_name, std::string help) {
  return {.name = std::move(name), .value_name = std::move(value_name), .help = std::move(help)};
}

}  // namespace

std::int64_t parse_integer(const std::string& text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || text.empty()) {
    throw Error(ErrorKind::kUsage, "expected a whole number, found '{}'", text);
  }
  return value;
}

double parse_number(const std::string& text) {
  const std::optional<double> value = finite_number(text);
  if (!value) throw Error(ErrorKind::kUsage, "expected a number, found '{}'", text);
  return *value;
}

bool NumberRange::contains(double value) const {
  return (above_lowest ? value > lowest : value >= lowest) &&
         (below_highest ? value < highest : value <= highest);
}

std::string NumberRange::text() const {
  if (std::isinf(highest))
    return above_lowest ? fmt::format("more than {}", lowest) : fmt::format("{} or more", lowest);
  if (!above_lowest && !below_highest) return fmt::format("{} to {}", lowest, highest);
  return fmt::format("{} {} and {} {}", above_lowest ? "more than" : "at least", lowest,
                     below_highest ? "less than" : "at most", highest);
}

std::string option_spelling(std::string_view name) {
  std::string spelled(name);
  std::replace(spelled.begin(), spelled.end(), '_', '-');
  return spelled;
}

OptionTable& OptionTable::add(Option option) {
  CHARM_CHECK(find(option.name) == nullptr, "option --{} is described twice", option.name);
  CHARM_CHECK(option.assign && option.value, "option --{} lacks assign or value", option.name);
  if (option.is_path) option.recorded = Recorded::kElsewhere;
  options_.push_back(std::move(option));
  return *this;
}

OptionTable& OptionTable::required() {
  options_.back().required = true;
  options_.back().default_text.clear();
  return *this;
}

OptionTable& OptionTable::positional() {
  options_.back().positional = true;
  return *this;
}

OptionTable& OptionTable::range(const NumberRange& range) {
  Option& option = options_.back();
  option.range = range;
  option.assign = [assign = std::move(option.assign),
                   range](const std::vector<std::string>& values) {
    const std::optional<double> number = finite_number(values.front());
    if (number && !range.contains(*number))
      throw Error(ErrorKind::kUsage, "expected {}, found {}", range.text(), values.front());
    assign(values);
  };
  return *this;
}

OptionTable& OptionTable::recorded_as_option(std::initializer_list<std::string_view> names) {
  return set_recorded(names, Recorded::kAsOption);
}

OptionTable& OptionTable::recorded_elsewhere(std::initializer_list<std::string_view> names) {
  return set_recorded(names, Recorded::kElsewhere);
}

OptionTable& OptionTable::without_effect(std::initializer_list<std::string_view> names) {
  return set_recorded(names, Recorded::kNowhere);
}

OptionTable& OptionTable::set_recorded(std::initializer_list<std::string_view> names,
                                       Recorded recorded) {
  for (const std::string_view name : names) {
    const auto found = std::find_if(options_.begin(), options_.end(),
                                    [&](const Option& option) { return option.name == name; });
    CHARM_CHECK(found != options_.end(), "no option --{} is described", name);
    found->recorded = recorded;
  }
  return *this;
}

const Option* OptionTable::find(std::string_view name) const {
  const std::string spelled = option_spelling(name);
  for (const Option& option : options_) {
    if (option.name == spelled) return &option;
  }
  return nullptr;
}

OptionTable& OptionTable::flag(std::string name, bool& target, std::string help) {
  Option option = make(std::move(name), "", std::move(help));
  option.form = Option::Form::kFlag;
  option.value = [&target] { return OptionValue(target); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target = values.empty() || values.front() == "true";
  };
  return add(std::move(option));
}

OptionTable& OptionTable::negative_flag(std::string name, bool& target, std::string help) {
  Option option = make(std::move(name), "", std::move(help));
  option.form = Option::Form::kFlag;
  option.value = [&target] { return OptionValue(!target); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target = !(values.empty() || values.front() == "true");
  };
  return add(std::move(option));
}

OptionTable& OptionTable::text(std::string name, std::string& target, std::string value_name,
                               std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.default_text = target;
  option.value = [&target] { return OptionValue(target); };
  option.assign = [&target](const std::vector<std::string>& values) { target = values.front(); };
  return add(std::move(option));
}

OptionTable& OptionTable::text(std::string name, std::optional<std::string>& target,
                               std::string value_name, std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.value = [&target] { return target ? OptionValue(*target) : OptionValue(); };
  option.assign = [&target](const std::vector<std::string>& values) { target = values.front(); };
  return add(std::move(option));
}

OptionTable& OptionTable::texts(std::string name, std::vector<std::string>& target,
                                std::string value_name, std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.form = Option::Form::kList;
  option.value = [&target] { return OptionValue(target); };
  option.assign = [&target](const std::vector<std::string>& values) { target = values; };
  return add(std::move(option));
}

OptionTable& OptionTable::number(std::string name, double& target, std::string value_name,
                                 std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.default_text = number_text(target);
  option.value = [&target] { return OptionValue(target); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target = parse_number(values.front());
  };
  return add(std::move(option));
}

OptionTable& OptionTable::number(std::string name, std::optional<double>& target,
                                 std::string value_name, std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.value = [&target] { return target ? OptionValue(*target) : OptionValue(); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target = parse_number(values.front());
  };
  return add(std::move(option));
}

OptionTable& OptionTable::path(std::string name, fs::path& target, std::string value_name,
                               std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.is_path = true;
  option.default_text = target.string();
  option.value = [&target] { return OptionValue(target.string()); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target = parse_path(values.front());
  };
  return add(std::move(option));
}

OptionTable& OptionTable::path(std::string name, std::optional<fs::path>& target,
                               std::string value_name, std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.is_path = true;
  option.value = [&target] { return target ? OptionValue(target->string()) : OptionValue(); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target = parse_path(values.front());
  };
  return add(std::move(option));
}

OptionTable& OptionTable::paths(std::string name, std::vector<fs::path>& target,
                                std::string value_name, std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.form = Option::Form::kList;
  option.is_path = true;
  option.value = [&target] {
    std::vector<std::string> paths;
    paths.reserve(target.size());
    for (const fs::path& path : target) paths.push_back(path.string());
    return OptionValue(std::move(paths));
  };
  option.assign = [&target](const std::vector<std::string>& values) {
    target.clear();
    for (const std::string& value : values) target.push_back(parse_path(value));
  };
  return add(std::move(option));
}

OptionTable& OptionTable::pairs(std::string name, std::map<std::string, std::string>& target,
                                std::string value_name, std::string help) {
  Option option = make(std::move(name), std::move(value_name), std::move(help));
  option.form = Option::Form::kList;
  option.value = [&target] { return OptionValue(target); };
  option.assign = [&target](const std::vector<std::string>& values) {
    target.clear();
    for (const std::string& value : values) {
      const std::size_t equals = value.find('=');
      if (equals == std::string::npos || equals == 0 || equals + 1 == value.size()) {
        throw Error(ErrorKind::kUsage, "expected NAME=NAME, found '{}'", value);
      }
      if (!target.emplace(value.substr(0, equals), value.substr(equals + 1)).second) {
        throw Error(ErrorKind::kUsage, "'{}' is given twice", value.substr(0, equals));
      }
    }
  };
  return add(std::move(option));
}

}  // namespace charm
