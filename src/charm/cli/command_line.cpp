#include "charm/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>

#include "charm/base/log.h"
#include "charm/base/strings.h"
#include "charm/base/version.h"
#include "charm/cli/progress_display.h"
#include "charm/dist/launch.h"

namespace charm::cli {
namespace {

using pipeline::Option;
using pipeline::OptionTable;

/// More threads only contend with each other, and thousands may fail to start.
constexpr int kMaxThreads = 1024;

/// Parsed values of one option.
struct Collected {
  const Option* option = nullptr;
  std::vector<std::string> values{};
  bool flag = false;
  CLI::Option* parsed = nullptr;
};

void declare(CLI::App& app, Collected& collected) {
  const Option& option = *collected.option;
  const std::string spelled = option.positional ? option.name : "--" + option.name;
  switch (option.form) {
    case Option::Form::kFlag:
      collected.parsed = app.add_flag(spelled, collected.flag);
      return;
    case Option::Form::kValue:
      collected.parsed = app.add_option(spelled, collected.values)
                             ->expected(1)
                             ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      break;
    case Option::Form::kList:
      collected.parsed = app.add_option(spelled, collected.values)->expected(1, 1 << 20);
      break;
  }
  if (option.required) collected.parsed->required();
}

void assign(const Collected& collected) {
  if (collected.parsed->count() == 0) return;
  const Option& option = *collected.option;
  try {
    if (option.form == Option::Form::kValue && collected.values.size() > 1) {
      throw Error(ErrorKind::kUsage, "given {} times, expected once", collected.values.size());
    }
    if (option.form == Option::Form::kFlag) {
      option.assign({});
    } else {
      option.assign(collected.values);
    }
  } catch (const Error& error) {
    throw error.with_context(option.positional ? option.value_name : "--" + option.name);
  }
}

/// Reports an unknown option by name; CLI11's own message would be about a missing value or
/// argument.
void check_option_name(const std::string& argument, const OptionTable& own,
                       const OptionTable& common) {
  if (argument.rfind("--", 0) != 0 || argument.size() == 2) return;
  const std::string word = argument.substr(2, argument.find('=') - 2);
  std::vector<std::string> names;
  for (const OptionTable* table : {&own, &common}) {
    for (const Option& option : table->options()) {
      if (!option.positional) names.push_back(option.name);
    }
  }
  if (std::find(names.begin(), names.end(), word) != names.end()) return;
  const std::vector<std::string> nearest = nearest_names(word, names, 1);
  throw Error(ErrorKind::kUsage, "unknown option --{}; the nearest known one is --{}", word,
              nearest.empty() ? "help" : nearest.front());
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string command_names(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string names;
  for (const auto& command : commands)
    names += (names.empty() ? "" : ", ") + std::string(command->name());
  return names;
}

void run_command(Command& command, const std::vector<std::string>& arguments) {
  CommonOptions common;
  OptionTable own_table, common_table;
  command.describe(own_table);
  describe_common(common_table, common);
  if (!parse_command_line(command, own_table, common_table, arguments)) {
    print(command_help(command, own_table, common_table));
    return;
  }
  if (common.quiet && common.verbose)
    throw Error(ErrorKind::kUsage, "--quiet and --verbose exclude each other");
  if (common.threads < 0 || common.threads > kMaxThreads) {
    throw Error(ErrorKind::kUsage, "--threads: expected 0 to {}, found {}", kMaxThreads,
                common.threads);
  }
  const dist::Launch launch = dist::read_launch();
  if (launch.size > 1 && !command.supports_multi_process()) {
    throw Error(ErrorKind::kUsage,
                "{} started {} processes, but charm {} runs in a single process; start it without "
                "a launcher",
                launch.launcher, launch.size, command.name());
  }
  log::set_level(common.verbose                    ? log::Level::kDebug
                 : common.quiet || launch.rank > 0 ? log::Level::kWarning
                                                   : log::Level::kInfo);
  ProgressDisplay display(common.quiet ? ProgressStyle::kNone : progress_style_of_stderr());
  command.run(common, [&display](const Progress& progress) { display.show(progress); });
}

}  // namespace

bool parse_command_line(const Command& command, const OptionTable& own, const OptionTable& common,
                        const std::vector<std::string>& arguments) {
  CLI::App app("", "charm " + std::string(command.name()));
  app.set_help_flag();
  bool help = false;
  app.add_flag("-h,--help", help);
  std::vector<Collected> collected;
  collected.reserve(own.options().size() + common.options().size());
  for (const OptionTable* table : {&own, &common}) {
    for (const Option& option : table->options())
      declare(app, collected.emplace_back(Collected{.option = &option}));
  }
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") return false;  // before any other check
    if (argument == "--") break;
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    check_option_name(argument, own, common);
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, "{}; see charm {} --help", error.what(), command.name());
  }
  for (const Collected& one : collected) assign(one);
  return true;
}

bool starts_training(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return false;
  for (const auto& command : make_commands()) {
    if (command->name() == arguments.front()) return command->trains();
  }
  return false;
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
  if (first == "--version") return print(fmt::format("charm {}\n", kVersion));
  for (const auto& command : commands) {
    if (command->name() == first)
      return run_command(*command, {arguments.begin() + 1, arguments.end()});
  }
  throw Error(ErrorKind::kUsage, "unknown command '{}'; known: {}", first, command_names(commands));
}

}  // namespace charm::cli
