#include "charm/storage/read_options.h"

#include "charm/base/error.h"
#include "charm/base/option_table.h"
#include "charm/storage/ratings.h"

namespace charm::storage {

void require_each_once(std::span<const std::filesystem::path> files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::error_code code;
      if (!std::filesystem::equivalent(files[i], files[j], code) || code) continue;
      throw Error(ErrorKind::kUsage, "{}: is given twice; its rows would count twice",
                  files[i].string());
    }
  }
}

void describe_reading(OptionTable& table, ReadOptions& options) {
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated per file; each is reported and dropped, one more is an "
               "error. Raise it for raw data with a few broken lines.")
      .at_least(0)
      .text("split", options.split, "NAME",
            "Split to read of a Hugging Face DatasetDict or a folder of shards; required if there "
            "are several.");
}

void describe_prompt_column(OptionTable& table, ColumnNames& columns) {
  table.text("prompt-column", columns.prompt, "NAME",
             "Column of the prompts, a text or a list of messages; by default one of those that "
             "docs/data-formats.md lists (prompt, instruction, messages, ...).");
}

void describe_columns(OptionTable& table, ColumnNames& columns) {
  describe_prompt_column(table, columns);
  table
      .text("response-column", columns.response, "NAME",
            "Column of the responses; by default response, output or completion, or the last turn "
            "of messages.")
      .text("policy-column", columns.policy, "NAME",
            "Column of the policies' names; by default policy, generator or model, or the file's "
            "name.");
}

void describe_ratings(OptionTable& table, std::string& category, std::string& date,
                      Aliases& aliases) {
  table
      .text("category", category, "NAME",
            "Category of an Arena catalogue, if the ratings file has several.")
      .text("date", date, "DATE",
            "Date of publication (leaderboard_publish_date), if the ratings file has several.")
      .pairs("alias", aliases, "POLICY=NAME",
             "Name of a policy in the ratings file, if it differs.");
}

}  // namespace charm::storage
