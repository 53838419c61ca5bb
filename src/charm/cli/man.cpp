#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/option_table.h"
#include "charm/base/version.h"
#include "charm/cli/command_line.h"

namespace charm::cli {
namespace {

/// Text of a man page: hyphens as they are typed, no line that begins with a request.
std::string roff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool begins_line = i == 0 || text[i - 1] == '\n';
    if (begins_line && (c == '.' || c == '\'')) out += "\\&";
    if (c == '-') {
      out += "\\-";
    } else if (c == '\\') {
      out += "\\e";
    } else {
      out += c;
    }
  }
  return out;
}

std::string title(std::string_view name, std::string_view summary) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return fmt::format(".TH {} 1 \"\" \"charm {}\"\n.SH NAME\n{} \\- {}\n", upper, kVersion,
                     roff(name), roff(summary));
}

/// Paragraphs; indented lines are examples.
std::string paragraphs(std::string_view text) {
  std::string out;
  bool in_example = false;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const bool example = line.starts_with("  ");
    if (example != in_example) out += example ? ".PP\n.nf\n.RS 4\n" : ".RE\n.fi\n";
    in_example = example;
    out += line.empty() ? ".PP\n" : roff(example ? line.substr(2) : line) + "\n";
    begin = end + 1;
  }
  return in_example ? out + ".RE\n.fi\n" : out;
}

std::string option_entry(const Option& option) {
  std::string head = option.positional ? "" : "\\fB\\-\\-" + roff(option.name) + "\\fR";
  if (!option.value_name.empty())
    head += fmt::format("{}\\fI{}\\fR", head.empty() ? "" : " ", roff(option.value_name));
  if (option.form == Option::Form::kList) head += "...";
  if (option.required) {
    head += " (required)";
  } else if (!option.default_text.empty()) {
    head += " (default: " + roff(option.default_text) + ")";
  }
  return ".TP\n" + head + "\n" + roff(option.help) + "\n";
}

std::string options_section(std::string_view name, const OptionTable& table) {
  std::string text = fmt::format(".SH {}\n", name);
  for (const Option& option : table.options()) text += option_entry(option);
  return text;
}

constexpr const char* kExitStatus =
    ".SH EXIT STATUS\n0 done, 2 usage, 3 bad input, 4 reading or writing files, 5 network, 6 "
    "memory, device or disk ran out, 70 a bug of charm, 128 + N ended by signal N.\n";

std::string program_page(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text = title("charm", "calibrates reward models with Chatbot Arena ratings");
  text += ".SH SYNOPSIS\n\\fBcharm\\fR \\fICOMMAND\\fR [options]\n.SH COMMANDS\n";
  for (const auto& command : commands) {
    text += fmt::format(".TP\n\\fBcharm\\-{0}\\fR(1)\n{1}\n", command->name(),
                        roff(command->summary()));
  }
  return text + kExitStatus;
}

std::string command_page(Command& command) {
  OptionTable own, common;
  CommonOptions options;
  command.describe(own);
  describe_common(common, options);
  std::string text = title("charm-" + std::string(command.name()), command.summary());
  text += fmt::format(".SH SYNOPSIS\n\\fBcharm {}\\fR", command.name());
  for (const Option& option : own.options()) {
    if (!option.required) continue;
    text += option.positional ? "" : " \\-\\-" + roff(option.name);
    text += fmt::format(" \\fI{}\\fR", roff(option.value_name));
  }
  text += " [options]\n.SH DESCRIPTION\n" + paragraphs(command.details());
  text += options_section("OPTIONS", own) + options_section("COMMON OPTIONS", common);
  return text + kExitStatus + ".SH SEE ALSO\n\\fBcharm\\fR(1)\n";
}

}  // namespace

std::string man_page(const std::vector<std::unique_ptr<Command>>& commands,
                     std::string_view command) {
  if (command.empty()) return program_page(commands);
  for (const auto& known : commands) {
    if (known->name() == command) return command_page(*known);
  }
  throw Error(ErrorKind::kUsage, "--man: unknown command '{}'; see charm --help", command);
}

}  // namespace charm::cli
