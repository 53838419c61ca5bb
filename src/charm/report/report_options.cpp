#include "charm/base/option_table.h"
#include "charm/report/report_stage.h"

namespace charm::report {

void describe_settings(OptionTable& table, ReportOptions& options) {
  table.text("title", options.title, "TEXT", "Heading of the report.")
      .integer(
          "cases", options.cases, "N",
          "Cases behind each number (pair of policies, offset, subset, row of an audit): pairs "
          "of responses with their texts. The larger half has the largest differences between "
          "reward model and target, the rest is a random draw of prompts. More make the file "
          "larger; 0: none.")
      .at_least(0)
      .path("site", options.site, "DIR",
            "Write a folder that loads cases on demand instead of one file: for thousands of cases "
            "of long texts. Open its index.html; it needs no server.")
      .integer("seed", options.seed, "S", "Seed of the random draw of cases.");
}

void describe_command(OptionTable& table, ReportOptions& options) {
  table
      .path("run", options.run_dir, "DIR",
            "Run directory (scores/, mismatch/, calibration/, models/, eval/), or a folder with "
            "the results of commands run one by one.")
      .required()
      .path("output", options.output, "FILE",
            "HTML file to write; by default report.html in the run directory.");
  describe_settings(table, options);
}

}  // namespace charm::report
