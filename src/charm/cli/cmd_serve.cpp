#include <fmt/format.h>

#include <cstdio>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/serve/server.h"

namespace charm::cli {
namespace {

class ServeCommand final : public Command {
 public:
  std::string_view name() const override { return "serve"; }
  std::string_view summary() const override { return "scores over HTTP"; }
  std::string_view details() const override {
    return "Serves scores of a reward model over HTTP: POST /score, /classify, /pooling, "
           "/v1/embeddings, /get_reward and /v1/score/evaluation; GET /health, /v1/models and "
           "/metrics (docs/serve.md shows their JSON). Waiting conversations of all requests are "
           "batched together, and those with one prompt share its prefill. A score has the same "
           "bits as from charm score, whatever it is batched with. SIGTERM or Ctrl-C answers the "
           "requests in flight and ends the server.\n"
           "\n"
           "  charm serve --model rm/ --port 8000\n"
           "  curl localhost:8000/score -d '{\"conversations\": [{\"messages\": [{\"role\": "
           "\"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": "
           "\"Hello!\"}]}]}'";
  }
  void describe(OptionTable& table) override { serve::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.model.threads = common.threads;
    pipeline::fetch_model_source(options_.model_dir, options_.model.source, common.offline,
                                 progress);
    serve::serve(options_, [&](const serve::Listening& listening) {
      if (common.quiet) return;
      fmt::print("serving {} on {}\n", listening.model, listening.url);
      std::fflush(stdout);
    });
  }

 private:
  serve::ServeOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_serve_command() { return std::make_unique<ServeCommand>(); }

}  // namespace charm::cli
