#include <algorithm>

#include "charm/base/option_table.h"
#include "charm/cli/command_line.h"

namespace charm::cli {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kHelpColumn = 8;

std::string usage_form(const Option& option) {
  std::string value =
      option.form == Option::Form::kList ? option.value_name + "..." : option.value_name;
  if (option.positional) return value;
  return option.value_name.empty() ? "--" + option.name : "--" + option.name + " " + value;
}

std::string option_block(const Option& option) {
  std::string head = "  " + usage_form(option);
  if (option.required) {
    head += "  (required)";
  } else if (!option.default_text.empty()) {
    head += "  (default: " + option.default_text + ")";
  }
  return head + "\n" + wrap(option.help, kHelpColumn, kWidth) + "\n";
}

std::string usage_line(const Command& command, const OptionTable& own) {
  std::string line = "Usage: charm " + std::string(command.name());
  for (const Option& option : own.options()) {
    if (option.required) line += " " + usage_form(option);
  }
  return line + " [options]\n";
}

}  // namespace

std::string wrap(std::string_view text, std::size_t indent, std::size_t width) {
  const std::string margin(indent, ' ');
  std::string out;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view paragraph = text.substr(begin, end - begin);
    if (paragraph.starts_with("  ")) {  // an example: not wrapped
      out += margin + std::string(paragraph) + "\n";
    } else {
      std::string line;
      while (!paragraph.empty()) {
        const std::size_t space = std::min(paragraph.find(' '), paragraph.size());
        const std::string_view word = paragraph.substr(0, space);
        paragraph.remove_prefix(std::min(space + 1, paragraph.size()));
        if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
          out += margin + line + "\n";
          line.clear();
        }
        if (!line.empty()) line += ' ';
        line += word;
      }
      out += line.empty() ? "\n" : margin + line + "\n";
    }
    begin = end + 1;
  }
  out.pop_back();
  return out;
}

std::string program_help(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text =
      "charm: calibrates reward models with Chatbot Arena ratings: measures their per-policy bias "
      "and removes it.\n"
      "\n"
      "Usage: charm COMMAND [options]\n"
      "\n"
      "Commands, in the order of the pipeline:\n";
  for (const auto& command : commands)
    text += fmt::format("  {:<11} {}\n", command->name(), command->summary());
  text +=
      "\n"
      "charm COMMAND --help   options of a command\n"
      "charm --help-all       all of them as Markdown\n"
      "charm --help-recipe    the keys of a recipe as Markdown\n"
      "charm --version        version\n"
      "charm --completion S   completion script of the shell S: bash, zsh or fish\n"
      "charm --man [COMMAND]  man page\n"
      "\n"
      "Exit codes: 0 done, 2 usage, 3 bad input, 4 reading or writing files (a full disk too), 5 "
      "network, 6 out of memory or no device,\n"
      "70 a bug of charm, 128 + N ended by signal N (130: Ctrl-C). An interrupted command "
      "resumes when started again.\n";
  return text;
}

std::string command_help(const Command& command, const OptionTable& own,
                         const OptionTable& common) {
  std::string text =
      usage_line(command, own) + "\n" + wrap(command.details(), 0, kWidth) + "\n\nOptions:\n";
  for (const Option& option : own.options()) text += option_block(option);
  text += "\nCommon options:\n";
  for (const Option& option : common.options()) text += option_block(option);
  return text;
}

std::string documentation() {
  const std::vector<std::unique_ptr<Command>> commands = make_commands();
  std::string text =
      "# Commands\n"
      "\n"
      "Written by `charm --help-all`; a test compares this page with the program. After changing "
      "an option, run\n"
      "`charm --help-all > docs/cli.md`.\n"
      "\n"
      "```text\n" +
      program_help(commands) + "```\n";
  for (const auto& command : commands) {
    OptionTable own, shared;
    CommonOptions options;
    command->describe(own);
    describe_common(shared, options);
    text += fmt::format("\n## charm {}\n\n```text\n{}```\n", command->name(),
                        command_help(*command, own, shared));
  }
  return text;
}

}  // namespace charm::cli
