#include <fmt/format.h>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/init_recipe.h"

namespace charm::cli {
namespace {

class InitCommand final : public Command {
 public:
  std::string_view name() const override { return "init"; }
  std::string_view summary() const override { return "a recipe for a folder of responses"; }
  std::string_view details() const override {
    return "Writes a recipe for a folder with one file of responses per policy. Ratings and a "
           "reward model that lie in the folder or beside it are found; what is left to fill in is "
           "listed.\n"
           "\n"
           "  charm init responses/\n"
           "  charm check recipe.yaml\n"
           "  charm run recipe.yaml";
  }
  void describe(OptionTable& table) override {
    table
        .path("responses", options_.responses, "FOLDER",
              "Folder with one file (JSONL, Parquet or a datasets folder) per policy; a file's "
              "name is its policy's name.")
        .required()
        .positional()
        .path("ratings", options_.ratings, "FILE", "Arena ratings; default: looked for.")
        .path("model", options_.model, "DIR", "The reward model; default: looked for.")
        .text("reference", options_.reference, "NAME",
              "Policy with offset 0; default: the one with the middle rating.")
        .path("run-dir", options_.run_dir, "DIR", "Folder of the run's outputs.")
        .path("output", options_.output, "FILE", "The recipe to write; an existing one is kept.");
  }
  void run(const CommonOptions& common, const ProgressFn&) override {
    std::error_code error;
    if (!common.fresh && fs::exists(options_.output, error)) {
      throw Error(ErrorKind::kUsage, "{}: exists; give another --output, or --fresh to replace it",
                  options_.output.string());
    }
    require_writable(options_.output);
    const pipeline::InitResult result = pipeline::init_recipe(options_);
    write_file(options_.output, result.text);
    if (common.quiet) return;
    fmt::print("{}\n", options_.output.string());
    for (const std::string& one : result.found) fmt::print("  found    {}\n", one);
    for (const std::string& one : result.open) fmt::print("  fill in  {}\n", one);
    fmt::print("next: charm check {}\n", options_.output.string());
  }

 private:
  pipeline::InitOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_init_command() { return std::make_unique<InitCommand>(); }

}  // namespace charm::cli
