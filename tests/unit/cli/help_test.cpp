#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "charm/base/files.h"
#include "charm/cli/command_line.h"
#include "charm/pipeline/recipe_sections.h"
#include "tests/support/source_dir.h"

namespace charm::cli {
namespace {

TEST(Wrap, BreaksAtSpacesAndKeepsExamples) {
  EXPECT_EQ(wrap("one two three", 2, 9), "  one two\n  three");
  EXPECT_EQ(wrap("text\n\n  an example that is longer than that", 0, 10),
            "text\n\n  an example that is longer than that");
  EXPECT_EQ(wrap("averyverylongword", 0, 5), "averyverylongword");
}

TEST(Help, EveryOptionSaysWhatItDoes) {
  for (const auto& command : make_commands()) {
    OptionTable table;
    command->describe(table);
    EXPECT_FALSE(table.options().empty()) << command->name();
    for (const Option& option : table.options()) {
      EXPECT_GE(option.help.size(), 5u) << command->name() << " --" << option.name;
      EXPECT_TRUE(option.help.ends_with('.')) << command->name() << " --" << option.name;
    }
  }
}

TEST(Help, OwnOptionsDoNotHideTheCommonOnes) {
  CommonOptions common;
  OptionTable shared;
  describe_common(shared, common);
  for (const auto& command : make_commands()) {
    OptionTable table;
    command->describe(table);
    for (const Option& option : shared.options()) {
      EXPECT_EQ(table.find(option.name), nullptr) << command->name() << " --" << option.name;
    }
  }
}

// A full disk ends with the code of files, not with that of memory (tests/e2e/disk_test.cpp).
TEST(Help, ExitCodesAreThoseOfTheErrors) {
  const std::string help = program_help(make_commands());
  for (const auto& [kind, text] :
       std::map<ErrorKind, std::string>{{ErrorKind::kUsage, "usage"},
                                        {ErrorKind::kInput, "bad input"},
                                        {ErrorKind::kIo, "reading or writing files"},
                                        {ErrorKind::kNetwork, "network"},
                                        {ErrorKind::kResource, "out of memory or no device"},
                                        {ErrorKind::kInternal, "a bug of charm"}}) {
    EXPECT_THAT(help, testing::HasSubstr(std::to_string(static_cast<int>(kind)) + " " + text));
  }
  EXPECT_THAT(help, testing::HasSubstr("(a full disk too)"));
}

TEST(Help, TheCommandsPageIsWhatTheProgramSays) {
  EXPECT_EQ(read_file(fs::path(charm::test::kSourceDir) / "docs" / "cli.md"), documentation())
      << "run: charm --help-all > docs/cli.md";
}

TEST(Help, TheRecipesPageIsWhatTheProgramSays) {
  EXPECT_EQ(read_file(fs::path(charm::test::kSourceDir) / "docs" / "recipes.md"),
            pipeline::recipe_reference())
      << "run: charm --help-recipe > docs/recipes.md";
}

}  // namespace
}  // namespace charm::cli
