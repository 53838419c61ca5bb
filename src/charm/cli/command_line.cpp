#include "charm/cli/command_line.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/log.h"
#include "charm/base/option_table.h"
#include "charm/base/strings.h"
#include "charm/base/version.h"
#include "charm/cli/progress_display.h"
#include "charm/cli/unnamed_arguments.h"
#include "charm/pipeline/recipe_sections.h"

namespace charm::cli {
namespace {

/// The command-line values of one option.
struct Given {
  const Option* option = nullptr;
  std::vector<std::string> values{};
  int times = 0;
};

std::string spelled(const Option& option) {
  return option.positional ? option.name : "--" + option.name;
}

/// One or two dashes and a letter. Other words with dashes are values: "-5", "-", "---".
bool is_option(std::string_view argument) {
  if (!argument.starts_with('-')) return false;
  argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
  const std::string first = lower_ascii(argument.substr(0, 1));
  return first >= "a" && first <= "z";
}

/// Splits arguments into options and their values. Used once.
class Splitter {
 public:
  Splitter(const Command& command, const OptionTable& own, const OptionTable& common)
      : command_(command), own_(own) {
    for (const OptionTable* table : {&own, &common}) {
      for (const Option& option : table->options()) given_.push_back({.option = &option});
    }
  }

  /// In the order of the tables. Throws kUsage for unknown options, missing values and missing
  /// required options.
  std::vector<Given> split(const std::vector<std::string>& arguments) {
    const auto end = std::find(arguments.begin(), arguments.end(), "--");
    for (auto next = arguments.begin(); next != end;) {
      const std::string& argument = *next++;
      if (is_option(argument)) {
        next = add_option(argument, next, end);
      } else {
        add_positional(argument);
      }
    }
    if (end != arguments.end()) {
      for (auto next = end + 1; next != arguments.end(); ++next) add_positional(*next);
    }
    reject_unnamed();
    require_all();
    return std::move(given_);
  }

 private:
  using Iterator = std::vector<std::string>::const_iterator;

  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorKind::kUsage, "{}; see charm {} --help",
                fmt::format(format, std::forward<Args>(args)...), command_.name());
  }

  /// Returns the first argument after the option and its values.
  Iterator add_option(const std::string& argument, Iterator next, Iterator end) {
    const std::size_t equals = argument.find('=');
    Given& given = find(argument.substr(0, equals));
    const Option::Form form = given.option->form;
    ++given.times;
    if (equals != std::string::npos) given.values.push_back(argument.substr(equals + 1));
    if (form == Option::Form::kFlag) {
      if (equals == std::string::npos) given.values.emplace_back("true");
      return next;
    }
    const auto is_value = [&] { return next != end && !is_option(*next); };
    if (equals == std::string::npos) {
      if (next == end)
        reject("{}: expected {}, found nothing", spelled(*given.option), given.option->value_name);
      if (!is_value()) {
        reject(
            "{0}: expected {1}, found the option {2}; a value that looks like one is written "
            "{0}={2}",
            spelled(*given.option), given.option->value_name, *next);
      }
      given.values.push_back(*next++);
    }
    while (form == Option::Form::kList && is_value()) given.values.push_back(*next++);
    return next;
  }

  void add_positional(const std::string& argument) {
    for (Given& given : given_) {
      if (!given.option->positional) continue;
      if (given.times > 0 && given.option->form != Option::Form::kList) continue;
      ++given.times;
      given.values.push_back(argument);
      return;
    }
    unnamed_.push_back(argument);
  }

  /// Arguments without an option: the same with their options, where the files tell.
  void reject_unnamed() const {
    if (unnamed_.empty()) return;
    std::set<std::string> names;
    const Given* positional = nullptr;
    for (const Given& given : given_) {
      if (given.times > 0) names.insert(given.option->name);
      if (given.option->positional) positional = &given;
    }
    std::string advice = ": a value follows the option that it is of";
    const std::string extension = fs::path(unnamed_.front()).extension().string();
    if (const std::string named = named_arguments(unnamed_, own_, std::move(names));
        !named.empty()) {
      advice = "; write " + named;
    } else if (positional != nullptr) {
      advice = fmt::format(": the command takes one {}", positional->option->value_name);
    } else if (extension == ".yaml" || extension == ".yml") {
      advice = "; a recipe is run by charm run " + shell_word(unnamed_.front());
    }
    reject("unexpected argument{} '{}'{}", unnamed_.size() == 1 ? "" : "s",
           fmt::join(unnamed_, "', '"), advice);
  }

  Given& find(const std::string& word) {
    std::vector<std::string> names;
    for (Given& given : given_) {
      if (given.option->positional) continue;
      if (spelled(*given.option) == word) return given;
      names.push_back(given.option->name);
    }
    reject("unknown option {}; the nearest known one is --{}", word,
           meant_option(word.substr(word.find_first_not_of('-')), names));
  }

  void require_all() const {
    std::vector<std::string> missing;
    for (const Given& given : given_) {
      if (given.option->required && given.times == 0) missing.push_back(spelled(*given.option));
    }
    if (!missing.empty()) {
      reject("{} {} required", fmt::join(missing, ", "), missing.size() == 1 ? "is" : "are");
    }
  }

  const Command& command_;
  const OptionTable& own_;
  std::vector<Given> given_;
  std::vector<std::string> unnamed_;  ///< arguments that no positional one takes
};

void assign(const Given& given) {
  const Option& option = *given.option;
  if (given.times == 0) return;
  try {
    if (option.form == Option::Form::kValue && given.times > 1)
      throw Error(ErrorKind::kUsage, "given {} times, expected once", given.times);
    if (option.form == Option::Form::kFlag && given.values.back() != "true" &&
        given.values.back() != "false") {
      throw Error(ErrorKind::kUsage, "expected no value, true or false, found '{}'",
                  given.values.back());
    }
    option.assign(option.form == Option::Form::kFlag ? std::vector{given.values.back()}
                                                     : given.values);
  } catch (const Error& error) {
    throw error.with_context(option.positional ? option.value_name : "--" + option.name);
  }
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string command_names(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string names;
  for (const auto& command : commands)
    names += (names.empty() ? "" : ", ") + std::string(command->name());
  return names;
}

/// Then nothing else may be printed there.
bool goes_to_standard_output(const OptionTable& own) {
  const Option* output = own.find("output");
  if (output == nullptr) return false;
  const OptionValue value = output->value();
  const auto* path = std::get_if<std::string>(&value);
  return path != nullptr && is_standard_output(*path);
}

/// Without `progress` it is shown on a terminal.
void run_command(Command& command, const std::vector<std::string>& arguments,
                 const ProgressFn& progress = {}) {
  CommonOptions common;
  common.quiet = static_cast<bool>(progress);
  OptionTable own_table, common_table;
  command.describe(own_table);
  describe_common(common_table, common);
  if (!parse_command_line(command, own_table, common_table, arguments)) {
    print(command_help(command, own_table, common_table));
    return;
  }
  if (common.quiet && common.verbose)
    throw Error(ErrorKind::kUsage, "--quiet and --verbose exclude each other");
  if (goes_to_standard_output(own_table)) common.quiet = !common.verbose;
  if (!progress) common.launch = read_launch();
  const Launch& launch = common.launch;
  if (launch.size > 1 && !command.supports_multi_process()) {
    throw Error(ErrorKind::kUsage,
                "{} started {} processes, but charm {} runs in a single process; start it without "
                "a launcher",
                launch.launcher, launch.size, command.name());
  }
  log::set_level(common.verbose                    ? log::Level::kDebug
                 : common.quiet || launch.rank > 0 ? log::Level::kWarning
                                                   : log::Level::kInfo);
  if (progress) return command.run(common, progress);
  ProgressDisplay display(common.quiet ? ProgressStyle::kNone : progress_style_of_stderr());
  command.run(common, [&display](const Progress& state) { display.show(state); });
}

}  // namespace

bool parse_command_line(const Command& command, const OptionTable& own, const OptionTable& common,
                        const std::vector<std::string>& arguments) {
  // Before any other check.
  const auto options_end = std::find(arguments.begin(), arguments.end(), "--");
  const auto is_help = [](const std::string& word) { return word == "--help" || word == "-h"; };
  if (std::any_of(arguments.begin(), options_end, is_help)) return false;
  for (const Given& given : Splitter(command, own, common).split(arguments)) assign(given);
  return true;
}

void run_quietly(const std::vector<std::string>& arguments, const ProgressFn& progress) {
  const std::vector<std::unique_ptr<Command>> commands = make_commands();
  for (const auto& command : commands) {
    if (arguments.empty() || command->name() != arguments.front()) continue;
    return run_command(*command, {arguments.begin() + 1, arguments.end()},
                       progress ? progress : ProgressFn([](const Progress&) {}));
  }
  throw Error(ErrorKind::kUsage, "expected a command: {}", command_names(commands));
}

void run_program(const std::vector<std::string>& arguments) {
  const std::vector<std::unique_ptr<Command>> commands = make_commands();
  if (arguments.empty()) {
    throw Error(ErrorKind::kUsage, "expected a command: {}; see charm --help",
                command_names(commands));
  }
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h" || first == "help") return print(program_help(commands));
  if (first == "--help-all") return print(documentation());
  if (first == "--completion" || first == "--man") {
    const std::string word = arguments.size() > 1 ? arguments[1] : "";
    return print(first == "--man" ? man_page(commands, word) : completion_script(commands, word));
  }
  if (first == "--help-recipe") return print(pipeline::recipe_reference());
  if (first == "--version") return print(fmt::format("charm {}\n", kVersion));
  for (const auto& command : commands) {
    if (command->name() == first)
      return run_command(*command, {arguments.begin() + 1, arguments.end()});
  }
  throw Error(ErrorKind::kUsage, "unknown command '{}'; known: {}", first, command_names(commands));
}

}  // namespace charm::cli
