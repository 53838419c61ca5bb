// `charm generate` with a real server, llama-cpp-python and SmolLM2, if installed
// (tools/llama_server.sh).

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "charm/hub/http_client.h"
#include "charm/storage/row_reader.h"
#include "tests/e2e/program.h"
#include "tests/support/http_server.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::e2e {
namespace {

using charm::testing::TempFolder;
using ::testing::HasSubstr;

/// A currently free port.
int free_port() {
  charm::testing::HttpServer server(
      [](const charm::testing::ServerRequest&) { return charm::testing::ServerReply{}; });
  return server.port();
}

/// A server process, killed with the object.
class LlamaServer {
 public:
  LlamaServer(const fs::path& python, const fs::path& gguf, int port) : child_(fork()) {
    if (child_ != 0) return;
    setpgid(0, 0);
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    const std::string number = std::to_string(port);
    execl(python.c_str(), python.c_str(), "-m", "llama_cpp.server", "--model", gguf.c_str(),
          "--model_alias", "smollm2", "--port", number.c_str(), "--n_ctx", "2048", "--n_threads",
          "2", "--n_threads_batch", "2", static_cast<char*>(nullptr));
    _exit(127);
  }
  ~LlamaServer() {
    kill(-child_, SIGKILL);
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  LlamaServer(const LlamaServer&) = delete;
  LlamaServer& operator=(const LlamaServer&) = delete;

 private:
  pid_t child_;
};

TEST(LlamaServer, CompletesRealPrompts) {
  const fs::path root = charm::test::kSourceDir;
  const fs::path python = root / ".venv-llama/bin/python",
                 gguf = root / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(python) || !fs::exists(gguf)) {
    GTEST_SKIP() << "needs " << python << " with llama-cpp-python[server] and " << gguf
                 << "; run tools/llama_server.sh --install";
  }
  const TempFolder folder;
  const int port = free_port();
  const LlamaServer server(python, gguf, port);
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  const std::string prompts =
      folder
          .file("prompts.jsonl",
                "{\"prompt\":\"What is the capital of France? Answer in one word.\"}\n"
                "{\"prompt\":[{\"role\":\"user\",\"content\":\"Say "
                "hello.\"},{\"role\":\"assistant\",\"content\":\"Hello!\"},{\"role\":\"user\","
                "\"content\":\"Now write a long story about a dragon and a lighthouse.\"}]}\n")
          .string();
  const auto generate = [&](const std::string& output, const std::string& temperature,
                            const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"generate",
                                          "--prompts",
                                          prompts,
                                          "--policy",
                                          "smollm2",
                                          "--server",
                                          url,
                                          "--server-model",
                                          "smollm2",
                                          "--wait",
                                          "180",
                                          "--concurrency",
                                          "2",
                                          "--max-new-tokens",
                                          "16",
                                          "--temperature",
                                          temperature,
                                          "--output",
                                          (folder / output).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_charm(arguments);
  };
  const auto rows_of = [&](const std::string& name) {
    storage::RowReader reader(folder / name, {});
    std::vector<nlohmann::json> rows;
    while (const storage::RowView* row = reader.next()) rows.push_back(row->to_json());
    return rows;
  };
  Outcome outcome =
      generate("chat.jsonl", "0", {"--top-k", "0", "--min-p", "0", "--repetition-penalty", "1.0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto chat = rows_of("chat.jsonl");
  ASSERT_EQ(chat.size(), 2u);
  EXPECT_THAT(chat[0]["response"].get<std::string>(), HasSubstr("Paris"));
  EXPECT_EQ(chat[1]["finish_reason"], "length");
  EXPECT_EQ(chat[1]["num_tokens"], 16);
  EXPECT_GT(chat[1]["num_prompt_tokens"], 20);

  // The completions endpoint with the template rendered by charm: same tokens, same greedy output.
  if (fs::exists(root / "runs/smollm2/tokenizer.json")) {
    outcome =
        generate("text.jsonl", "0",
                 {"--endpoint", "completions", "--tokenizer", (root / "runs/smollm2").string()});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto text = rows_of("text.jsonl");
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(text[i]["num_prompt_tokens"], chat[i]["num_prompt_tokens"]);
      EXPECT_EQ(text[i]["response"], chat[i]["response"]);
    }
  }

  // Equal seeds give equal texts, different seeds different texts.
  const auto with_seed = [&](const std::string& output, const std::string& seed) {
    EXPECT_EQ(generate(output, "1.5", {"--seed", seed}).code, 0);
    return rows_of(output)[1]["response"].get<std::string>();
  };
  const std::string first = with_seed("first.jsonl", "1");
  EXPECT_EQ(with_seed("again.jsonl", "1"), first);
  EXPECT_NE(with_seed("other.jsonl", "2"), first);

  // Longer than the context: the row has the server's error.
  write_file(
      folder / "long.jsonl", "{\"prompt\":\"" + [] {
        std::string text;
        for (int i = 0; i < 4000; ++i) text += "word ";
        return text;
      }() + "\"}\n");
  outcome = run_charm({"generate", "--prompts", (folder / "long.jsonl").string(), "--policy", "p",
                       "--server", url, "--server-model", "smollm2", "--retries", "1", "--output",
                       (folder / "long-out.jsonl").string()});
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 of 1 responses failed"));
}

}  // namespace
}  // namespace charm::e2e
