#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/fs.h"

namespace charm {

/// The current value of an option; monostate if it is unset.
using OptionValue = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double,
                                 std::string, std::vector<std::string>, std::vector<std::int64_t>,
                                 std::map<std::string, std::string>>;

/// How a manifest records an option.
enum class Recorded {
  kAsOption,   ///< under `options`
  kElsewhere,  ///< as an input, an output, or a fact about the generator
  kNowhere,    ///< not at all: the result does not depend on it
};

/// The values that a number may have. Most are open on one side.
struct NumberRange {
  double lowest = -std::numeric_limits<double>::infinity();
  double highest = std::numeric_limits<double>::infinity();
  bool above_lowest = false;   ///< the lowest itself is excluded
  bool below_highest = false;  ///< the highest itself is excluded

  bool contains(double value) const;
  /// "0 or more", "more than 0", "0 to 1", "at least 0 and less than 1": for messages.
  std::string text() const;
};

/// One option of a command: `--name value` on the command line, `name: value` in a recipe.
struct Option {
  enum class Form {
    kFlag,   ///< present or not; a recipe writes true or false
    kValue,  ///< one value
    kList,   ///< one or more values
  };
  std::string name;  ///< as on the command line, without dashes: "max-tokens"
  Form form = Form::kValue;
  std::string value_name{};    ///< "N", "FILE", "left|right|error"; empty for a flag
  std::string help{};          ///< effect, unit, how to choose it
  std::string default_text{};  ///< shown in the help; empty: none
  bool required = false;
  bool is_path = false;                     ///< a recipe resolves it relative to its own folder
  bool positional = false;                  ///< command line: a bare argument
  Recorded recorded = Recorded::kAsOption;  ///< paths: kElsewhere
  std::optional<NumberRange> range{};       ///< of a number; enforced by `assign`
  std::function<void(const std::vector<std::string>&)>
      assign{};                          ///< throws kUsage; the caller adds the option's name
  std::function<OptionValue()> value{};  ///< the current value
};

std::int64_t parse_integer(const std::string& text);
double parse_number(const std::string& text);

/// The options of a command, bound to the fields of its options struct, which must outlive the
/// table. The single definition for command line, recipe, docs/cli.md and manifest.
class OptionTable {
 public:
  OptionTable& flag(std::string name, bool& target, std::string help);
  /// `--no-<thing>` style switch: present means false.
  OptionTable& negative_flag(std::string name, bool& target, std::string help);
  OptionTable& text(std::string name, std::string& target, std::string value_name,
                    std::string help);
  OptionTable& text(std::string name, std::optional<std::string>& target, std::string value_name,
                    std::string help);
  OptionTable& texts(std::string name, std::vector<std::string>& target, std::string value_name,
                     std::string help);
  OptionTable& number(std::string name, double& target, std::string value_name, std::string help);
  OptionTable& number(std::string name, std::optional<double>& target, std::string value_name,
                      std::string help);
  OptionTable& path(std::string name, fs::path& target, std::string value_name, std::string help);
  OptionTable& path(std::string name, std::optional<fs::path>& target, std::string value_name,
                    std::string help);
  OptionTable& paths(std::string name, std::vector<fs::path>& target, std::string value_name,
                     std::string help);
  /// `A=B` pairs; a recipe may also write a map.
  OptionTable& pairs(std::string name, std::map<std::string, std::string>& target,
                     std::string value_name, std::string help);

  template <std::integral T>
  OptionTable& integer(std::string name, T& target, std::string value_name, std::string help) {
    Option option{
        .name = std::move(name), .value_name = std::move(value_name), .help = std::move(help)};
    option.default_text = std::to_string(target);
    option.value = [&target] { return integer_value(target); };
    option.assign = [&target](const std::vector<std::string>& values) {
      assign_integer(target, values.front());
    };
    return add(std::move(option));
  }
  template <std::integral T>
  OptionTable& integer(std::string name, std::optional<T>& target, std::string value_name,
                       std::string help) {
    Option option{
        .name = std::move(name), .value_name = std::move(value_name), .help = std::move(help)};
    option.value = [&target] { return target ? integer_value(*target) : OptionValue(); };
    option.assign = [&target](const std::vector<std::string>& values) {
      T value{};
      assign_integer(value, values.front());
      target = value;
    };
    return add(std::move(option));
  }

  /// One of a fixed set of values.
  template <typename T>
  OptionTable& choice(std::string name, T& target, std::vector<std::pair<std::string, T>> words,
                      std::string help) {
    Option option{.name = std::move(name), .help = std::move(help)};
    for (const auto& [word, value] : words) {
      option.value_name += (option.value_name.empty() ? "" : "|") + word;
      if (value == target) option.default_text = word;
    }
    option.value = [&target, words]() -> OptionValue {
      for (const auto& [word, value] : words) {
        if (value == target) return word;
      }
      return {};
    };
    option.assign = [&target, words = std::move(words),
                     known = option.value_name](const std::vector<std::string>& values) {
      for (const auto& [word, value] : words) {
        if (word == values.front()) {
          target = value;
          return;
        }
      }
      throw Error(ErrorKind::kUsage, "expected {}, found '{}'", known, values.front());
    };
    return add(std::move(option));
  }

  OptionTable& add(Option option);
  /// Marks the last added option as required.
  OptionTable& required();
  /// Marks the last added option as a positional argument of the command line.
  OptionTable& positional();
  /// Set the range of the last added option, a number.
  OptionTable& range(const NumberRange& range);
  OptionTable& at_least(double lowest) { return range({.lowest = lowest}); }
  OptionTable& above(double lowest) { return range({.lowest = lowest, .above_lowest = true}); }
  OptionTable& within(double lowest, double highest) {
    return range({.lowest = lowest, .highest = highest});
  }
  /// Set how manifests record options added before.
  OptionTable& recorded_as_option(std::initializer_list<std::string_view> names);
  OptionTable& recorded_elsewhere(std::initializer_list<std::string_view> names);
  OptionTable& without_effect(std::initializer_list<std::string_view> names);

  const std::vector<Option>& options() const { return options_; }
  /// By name; `_` and `-` are equivalent. nullptr when there is none.
  const Option* find(std::string_view name) const;

 private:
  OptionTable& set_recorded(std::initializer_list<std::string_view> names, Recorded recorded);

  template <std::integral T>
  static OptionValue integer_value(T value) {
    if constexpr (std::is_unsigned_v<T>) {
      return static_cast<std::uint64_t>(value);
    } else {
      return static_cast<std::int64_t>(value);
    }
  }
  template <std::integral T>
  static void assign_integer(T& target, const std::string& text) {
    const std::int64_t value = parse_integer(text);
    if (!std::in_range<T>(value)) {
      throw Error(ErrorKind::kUsage, "expected a whole number{}, found '{}'",
                  std::is_unsigned_v<T> ? " that is not negative" : " of fewer digits", text);
    }
    target = static_cast<T>(value);
  }

  std::vector<Option> options_;
};

/// `name` with `_` written as `-`.
std::string option_spelling(std::string_view name);

/// The one of `known` that somebody means by `name`: another tool's name for the same thing
/// ("lr": "learning-rate"), or else the nearest by spelling; empty if there is none.
std::string meant_option(std::string_view name, std::span<const std::string> known);

}  // namespace charm
