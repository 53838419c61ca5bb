#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/inspect.h"
#include "charm/pipeline/sources.h"

namespace charm::cli {
namespace {

class InspectCommand final : public Command {
 public:
  std::string_view name() const override { return "inspect"; }
  std::string_view summary() const override {
    return "architecture, head, template, tokens and memory of a model folder";
  }
  std::string_view details() const override {
    return "Prints architecture, head, chat template and tokenizer with their SHA-256, the tokens "
           "of a sample with the beginning-of-sequence and the pooled token marked, memory, and "
           "the dtype and backend used on this machine with their measured throughput.\n"
           "\n"
           "  charm inspect rm/\n"
           "  charm inspect rm/ --sample responses/gpt4.jsonl --json";
  }
  void describe(OptionTable& table) override {
    table.path("model", options_.model_dir, "MODEL_DIR", "Hugging Face folder.")
        .required()
        .positional()
        .flag("json", json_, "Print JSON.")
        .path("sample", options_.sample_file, "FILE",
              "Responses to tokenise instead of a built-in conversation: the first row, with "
              "--json the ids of all rows.")
        .flag("config-only", options_.config_only,
              "Do not load the weights: fast, but dtype, backend, speed and score stay unknown.");
    engine::describe_model(table, options_.model);
    text::describe_encoder(table, options_.encoder);
    using score::Pooling;
    table.choice("pooling", options_.pooling, {{"auto", Pooling::kAuto}, {"last", Pooling::kLast}},
                 "Pooled token, whose hidden state gives the score, as in charm score.");
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.model.threads = common.threads;
    pipeline::fetch_model_source(options_.model_dir, options_.model.source, common.offline,
                                 progress);
    const pipeline::Inspection inspection = pipeline::inspect_model(options_);
    if (json_) {
      fmt::print("{}\n",
                 inspection_json(inspection)
                     .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else {
      fmt::print("{}", inspection_text(inspection));
    }
  }

 private:
  pipeline::InspectOptions options_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_inspect_command() { return std::make_unique<InspectCommand>(); }

}  // namespace charm::cli
