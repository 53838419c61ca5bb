#include <fmt/ranges.h>

#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/option_table.h"
#include "charm/cli/command_line.h"

namespace charm::cli {
namespace {

/// What completes the value of an option.
enum class ValueKind { kNone, kWords, kFile, kFolder, kOther };

struct Completed {
  const Option* option = nullptr;
  ValueKind kind = ValueKind::kNone;
  std::string words{};  ///< of kWords, separated by spaces
};

Completed completed(const Option& option) {
  Completed result{.option = &option};
  if (option.form == Option::Form::kFlag) return result;
  if (option.value_name.find('|') != std::string::npos) {
    result.kind = ValueKind::kWords;
    result.words = option.value_name;
    std::replace(result.words.begin(), result.words.end(), '|', ' ');
  } else if (option.is_path) {
    result.kind = option.value_name.ends_with("DIR") ? ValueKind::kFolder : ValueKind::kFile;
  } else {
    result.kind = ValueKind::kOther;
  }
  return result;
}

/// A command with all its options.
struct CommandOptions {
  Command& command;
  OptionTable own{};
  OptionTable common{};
  CommonOptions values{};

  explicit CommandOptions(Command& described) : command(described) {
    command.describe(own);
    describe_common(common, values);
  }

  std::vector<Completed> options() const {
    std::vector<Completed> all;
    for (const OptionTable* table : {&own, &common}) {
      for (const Option& option : table->options()) {
        if (!option.positional) all.push_back(completed(option));
      }
    }
    return all;
  }
};

/// The first sentence of a help, for lists of one line each.
std::string brief(const std::string& help) {
  std::size_t end = help.find(". ");
  end = std::min(end, help.find("; "));
  end = std::min(end, help.find(": "));
  std::string text = help.substr(0, end);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// Inside single quotes of a shell.
std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string bash_values(const Completed& one) {
  switch (one.kind) {
    case ValueKind::kWords:
      return "COMPREPLY=($(compgen -W " + shell_quoted(one.words) + " -- \"$cur\"))";
    case ValueKind::kFolder:
      return "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\"))";
    case ValueKind::kFile:
      return "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))";
    case ValueKind::kNone:
    case ValueKind::kOther:
      break;
  }
  return ":";
}

std::string bash_script(const std::vector<std::unique_ptr<Command>>& commands) {
  std::vector<std::string_view> names;
  std::string cases, values;
  for (const auto& command : commands) {
    const CommandOptions described(*command);
    names.push_back(command->name());
    std::vector<std::string> words = {"--help"};
    for (const Completed& one : described.options()) {
      words.push_back("--" + one.option->name);
      if (one.kind == ValueKind::kNone) continue;
      values += fmt::format("    '{} --{}') {}; return;;\n", command->name(), one.option->name,
                            bash_values(one));
    }
    cases += fmt::format("    {}) words={};;\n", command->name(),
                         shell_quoted(fmt::format("{}", fmt::join(words, " "))));
  }
  return fmt::format(
      "# bash completion of charm: source it, or save it as "
      "~/.local/share/bash-completion/completions/charm\n"
      "_charm() {{\n"
      "  local cur=\"${{COMP_WORDS[COMP_CWORD]}}\" prev=\"${{COMP_WORDS[COMP_CWORD-1]}}\" words=\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
      "    COMPREPLY=($(compgen -W {} -- \"$cur\")); return\n"
      "  fi\n"
      "  case \"${{COMP_WORDS[1]}} $prev\" in\n{}  esac\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n{}  esac\n"
      "  if [[ \"$cur\" == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
      "  else\n"
      "    compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))\n"
      "  fi\n"
      "}}\n"
      "complete -F _charm charm\n",
      shell_quoted(fmt::format("{} --help --help-all --version", fmt::join(names, " "))), values,
      cases);
}

/// Inside a zsh specification: brackets and colons have a meaning.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_option(const Completed& one) {
  const bool repeats = one.option->form == Option::Form::kList;
  std::string spec = fmt::format("{}--{}[{}]", repeats ? "*" : "", one.option->name,
                                 zsh_text(brief(one.option->help)));
  const std::string value = zsh_text(one.option->value_name);
  switch (one.kind) {
    case ValueKind::kNone:
      break;
    case ValueKind::kWords:
      spec += ":value:(" + one.words + ")";
      break;
    case ValueKind::kFolder:
      spec += ":" + value + ":_files -/";
      break;
    case ValueKind::kFile:
      spec += ":" + value + ":_files";
      break;
    case ValueKind::kOther:
      spec += ":" + value + ": ";
      break;
  }
  return "      " + shell_quoted(spec) + " \\\n";
}

std::string zsh_script(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string names, cases;
  for (const auto& command : commands) {
    const CommandOptions described(*command);
    names += fmt::format("    {}\n",
                         shell_quoted(fmt::format("{}:{}", command->name(),
                                                  zsh_text(std::string(command->summary())))));
    cases += fmt::format("    {})\n      _arguments \\\n", command->name());
    for (const Completed& one : described.options()) cases += zsh_option(one);
    cases += "      '--help[help]' '*:file:_files';;\n";
  }
  return "#compdef charm\n"
         "# zsh completion of charm: save it as _charm in a folder of $fpath\n"
         "_charm() {\n"
         "  local -a commands=(\n" +
         names +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe 'command' commands\n"
         "    return\n"
         "  fi\n"
         "  local command=$words[2]\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $command in\n" +
         cases +
         "  esac\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _charm ]; then _charm \"$@\"; else compdef _charm charm; fi\n";
}

std::string fish_script(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string lines =
      "# fish completion of charm: save it as ~/.config/fish/completions/charm.fish\n"
      "complete -c charm -n __fish_use_subcommand -f\n";
  for (const auto& command : commands) {
    const CommandOptions described(*command);
    lines += fmt::format("complete -c charm -n __fish_use_subcommand -a {} -d {}\n",
                         command->name(), shell_quoted(command->summary()));
    for (const Completed& one : described.options()) {
      lines +=
          fmt::format("complete -c charm -n '__fish_seen_subcommand_from {}' -l {} -d {}",
                      command->name(), one.option->name, shell_quoted(brief(one.option->help)));
      if (one.kind == ValueKind::kWords) lines += " -x -a " + shell_quoted(one.words);
      if (one.kind == ValueKind::kFolder) lines += " -x -a '(__fish_complete_directories)'";
      if (one.kind == ValueKind::kFile) lines += " -r -F";
      if (one.kind == ValueKind::kOther) lines += " -x";
      lines += "\n";
    }
  }
  return lines;
}

}  // namespace

std::string completion_script(const std::vector<std::unique_ptr<Command>>& commands,
                              std::string_view shell) {
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  throw Error(ErrorKind::kUsage, "--completion: expected bash, zsh or fish, found '{}'", shell);
}

}  // namespace charm::cli
