#include "charm/cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <variant>

#include "charm/base/fs.h"
#include "charm/base/option_table.h"
#include "tests/support/expect_error.h"
#include "tests/support/repeated_prefix.h"

namespace charm::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A command with one option of each form.
class SampleCommand final : public Command {
 public:
  std::string_view name() const override { return "sample"; }
  std::string_view summary() const override { return "a sample"; }
  std::string_view details() const override { return "A sample."; }
  void describe(OptionTable& table) override {
    table.path("recipe", recipe, "RECIPE", "Recipe.").required().positional();
    table.paths("files", files, "FILE", "Files.")
        .integer("count", count, "N", "Count.")
        .number("shift", shift, "X", "Shift.")
        .texts("words", words, "WORD", "Words.")
        .text("title", title, "TEXT", "Title.")
        .flag("loud", loud, "Loud.");
  }
  void run(const CommonOptions&, const ProgressFn&) override {}
  fs::path recipe;
  std::vector<fs::path> files;
  int count = 1;
  double shift = 0.0;
  std::vector<std::string> words;
  std::string title;
  bool loud = false;
};

struct Parsed {
  SampleCommand command;
  CommonOptions common;
  bool go_on = false;
};

void parse(Parsed& parsed, const std::vector<std::string>& arguments) {
  OptionTable own, shared;
  parsed.command.describe(own);
  describe_common(shared, parsed.common);
  parsed.go_on = parse_command_line(parsed.command, own, shared, arguments);
}

std::string refusal(const std::vector<std::string>& arguments) {
  Parsed parsed;
  try {
    parse(parsed, arguments);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.message();
  }
  return "no error";
}

TEST(CommandLine, ReadsEveryForm) {
  Parsed parsed;
  parse(parsed,
        {"r.yaml", "--files", "a", "b", "--count=4", "--loud", "--threads", "2", "--fresh"});
  EXPECT_TRUE(parsed.go_on);
  EXPECT_EQ(parsed.command.recipe, "r.yaml");
  EXPECT_THAT(parsed.command.files, ElementsAre("a", "b"));
  EXPECT_EQ(parsed.command.count, 4);
  EXPECT_TRUE(parsed.command.loud);
  EXPECT_EQ(parsed.common.threads, 2);
  EXPECT_TRUE(parsed.common.fresh);
  EXPECT_FALSE(parsed.common.quiet);
}

TEST(CommandLine, HelpWinsOverWhatIsMissingOrWrong) {
  Parsed parsed;
  parse(parsed, {"--count", "x", "--help"});
  EXPECT_FALSE(parsed.go_on);
}

TEST(CommandLine, NegativeNumbersAndDashesAreValues) {
  Parsed parsed;
  parse(parsed, {"r.yaml", "--count", "-4", "--shift", "-.5e-3", "--words", "-1", "-", "---", "- a",
                 "--title", "-"});
  EXPECT_EQ(parsed.command.count, -4);
  EXPECT_DOUBLE_EQ(parsed.command.shift, -0.5e-3);
  EXPECT_THAT(parsed.command.words, ElementsAre("-1", "-", "---", "- a"));
  EXPECT_EQ(parsed.command.title, "-");
}

TEST(CommandLine, AnEqualsSignTakesWhateverFollows) {
  Parsed parsed;
  parse(parsed, {"r.yaml", "--title=--loud=x", "--words=-a", "b", "--words=", "c"});
  EXPECT_EQ(parsed.command.title, "--loud=x");
  EXPECT_THAT(parsed.command.words, ElementsAre("-a", "b", "", "c"));
}

TEST(CommandLine, AListEndsAtTheNextOptionAndMayGoOnLater) {
  Parsed parsed;
  parse(parsed, {"--words", "a", "--loud", "r.yaml", "--words", "b", "c"});
  EXPECT_EQ(parsed.command.recipe, "r.yaml");
  EXPECT_THAT(parsed.command.words, ElementsAre("a", "b", "c"));
}

TEST(CommandLine, TwoDashesEndTheOptions) {
  Parsed parsed;
  parse(parsed, {"--words", "a", "--", "--help"});
  EXPECT_TRUE(parsed.go_on);
  EXPECT_EQ(parsed.command.recipe, "--help");
  EXPECT_THAT(refusal({"--count", "--", "r.yaml"}),
              HasSubstr("--count: expected N, found nothing"));
  EXPECT_THAT(refusal({"--", "r.yaml", "--loud"}), HasSubstr("unexpected argument '--loud'"));
}

TEST(CommandLine, FlagsTakeNoValueButTrueAndFalse) {
  Parsed parsed;
  parse(parsed, {"r.yaml", "--loud=false", "--quiet=true", "--fresh", "--fresh"});
  EXPECT_FALSE(parsed.command.loud);
  EXPECT_TRUE(parsed.common.quiet);
  EXPECT_TRUE(parsed.common.fresh);
  EXPECT_THAT(refusal({"r.yaml", "--loud=maybe"}),
              HasSubstr("--loud: expected no value, true or false, found 'maybe'"));
  EXPECT_THAT(refusal({"r.yaml", "--loud", "true"}), HasSubstr("unexpected argument 'true'"));
}

TEST(CommandLine, RefusalsNameTheOption) {
  EXPECT_THAT(refusal({"r.yaml", "--count", "many"}),
              HasSubstr("--count: expected a whole number, found 'many'"));
  EXPECT_THAT(
      refusal({"r.yaml", "--cuont", "3"}),
      HasSubstr("unknown option --cuont; the nearest known one is --count; see charm sample"));
  EXPECT_THAT(refusal({"r.yaml", "--cuont=3"}), HasSubstr("unknown option --cuont;"));
  EXPECT_THAT(refusal({"r.yaml", "--num-workers", "3"}), HasSubstr("known one is --threads"));
  EXPECT_THAT(refusal({"r.yaml", "-x"}), HasSubstr("unknown option -x;"));
  EXPECT_THAT(refusal({}), HasSubstr("recipe is required; see charm sample --help"));
  EXPECT_THAT(refusal({"--words", "a", "r.yaml"}), HasSubstr("recipe is required"));
  EXPECT_THAT(refusal({"a.yaml", "b.yaml"}), HasSubstr("unexpected argument 'b.yaml'"));
  EXPECT_THAT(refusal({"r.yaml", "--count"}), HasSubstr("--count: expected N, found nothing"));
  EXPECT_THAT(refusal({"r.yaml", "--count="}),
              HasSubstr("--count: expected a whole number, found ''"));
  EXPECT_THAT(refusal({"r.yaml", "--title", "--loud"}),
              HasSubstr("--title: expected TEXT, found the option --loud; a value that looks like "
                        "one is written --title=--loud"));
  EXPECT_THAT(refusal({"r.yaml", "--count", "1", "--count", "2"}),
              HasSubstr("--count: given 2 times, expected once"));
}

/// A seed may be any number of its type; all else that is a number has a range.
bool needs_range(const Option& option) {
  const OptionValue value = option.value();
  const bool is_number =
      std::holds_alternative<std::int64_t>(value) || std::holds_alternative<std::uint64_t>(value) ||
      std::holds_alternative<double>(value) ||
      (std::holds_alternative<std::monostate>(value) &&
       (option.value_name == "N" || option.value_name == "X" || option.value_name == "ELO"));
  return is_number && option.name != "seed";
}

TEST(Commands, EveryNumberHasARange) {
  for (const auto& command : make_commands()) {
    OptionTable table;
    command->describe(table);
    for (const Option& option : table.options()) {
      EXPECT_TRUE(!needs_range(option) || option.range)
          << "charm " << command->name() << " --" << option.name;
    }
  }
}

TEST(Commands, WrongValuesAreNotSaidTwice) {
  for (const auto& command : make_commands()) {
    OptionTable table;
    command->describe(table);
    for (const Option& option : table.options()) {
      for (const char* wrong : {"", "no such value", "-1"}) {
        if (option.positional) continue;
        try {
          parse_command_line(*command, table, {}, {"--" + option.name + "=" + wrong});
        } catch (const Error& error) {
          EXPECT_EQ(test::repeated_prefix(error.message()), "") << error.message();
        }
      }
    }
  }
}

TEST(Program, UnknownCommandsNameTheKnownOnes) {
  try {
    run_program({"invent"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(),
                testing::AllOf(HasSubstr("'invent'"),
                               HasSubstr("prepare, generate, score, rate, measure")));
  }
  EXPECT_ERROR(kUsage, "expected a command: prepare, ", run_program({}));
}

}  // namespace
}  // namespace charm::cli
