#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>

#include "charm/base/files.h"
#include "charm/cli/command_line.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::cli {
namespace {

using ::testing::HasSubstr;

/// The output of a shell command; empty if it fails.
std::string output_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string out;
  char buffer[4096];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe) != nullptr) out += buffer;
  return pipe != nullptr && pclose(pipe) == 0 ? out : "";
}

TEST(Completion, BashCompletesCommandsOptionsAndValues) {
  const charm::testing::TempFolder folder;
  write_file(folder / "charm.bash", completion_script(make_commands(), "bash"));
  const auto complete = [&](const std::string& words, int position) {
    return output_of(
        fmt::format("bash -c 'compopt() {{ :; }}; source {}; COMP_WORDS=(charm {}); COMP_CWORD={}; "
                    "_charm; echo "
                    "${{COMPREPLY[@]}}'",
                    (folder / "charm.bash").string(), words, position));
  };
  EXPECT_EQ(complete("cal", 1), "calibrate\n");
  EXPECT_EQ(complete("score --trunc", 2), "--truncation\n");
  EXPECT_EQ(complete("score --truncation \"\"", 3), "left right error\n");
  EXPECT_THAT(complete("serve --", 2), HasSubstr("--max-waiting"));
  EXPECT_THAT(complete("serve --", 2), HasSubstr("--threads"));
  EXPECT_EQ(complete("serve --port \"\"", 3), "\n");
}

TEST(Completion, EveryShellNamesEveryOption) {
  const auto commands = make_commands();
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(make_commands(), shell);
    for (const auto& command : commands)
      EXPECT_THAT(script, HasSubstr(std::string(command->name())));
    EXPECT_THAT(script, HasSubstr("template-date"));
  }
  EXPECT_ERROR(kUsage, "expected bash, zsh or fish, found 'csh'",
               completion_script(commands, "csh"));
}

TEST(ManPages, HaveTheOptionsAndNoStrayRequests) {
  const auto commands = make_commands();
  EXPECT_THAT(man_page(commands, ""), HasSubstr("charm\\-serve"));
  for (const auto& command : commands) {
    const std::string page = man_page(make_commands(), command->name());
    EXPECT_THAT(page, HasSubstr(".SH OPTIONS\n"));
    EXPECT_THAT(page, HasSubstr("\\fB\\-\\-threads\\fR \\fIN\\fR"));
    for (std::size_t at = page.find("\n."); at != std::string::npos;
         at = page.find("\n.", at + 1)) {
      const std::string request = page.substr(at + 2, 2);
      EXPECT_THAT(request, ::testing::AnyOf("TH", "SH", "TP", "PP", "nf", "fi", "RS", "RE"));
    }
  }
  EXPECT_ERROR(kUsage, "unknown command 'scores'", man_page(commands, "scores"));
}

}  // namespace
}  // namespace charm::cli
