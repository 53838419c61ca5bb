// hub:OWNER/NAME on the command line, with a fake Hub.

#include <gmock/gmock.h>

#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "tests/e2e/small_world.h"
#include "tests/support/fake_hub.h"

namespace charm::e2e {
namespace {

using charm::testing::FakeHub;
using charm::testing::ServerReply;
using charm::testing::ServerRequest;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HubSources : public SmallWorld {
 protected:
  void SetUp() override {
    SmallWorld::SetUp();
    FakeHub::Repo& model = hub_.repos["models/org/rm"];
    model.commit = std::string(40, 'a');
    model.needs_token = "hf_s3cret";
    for (const auto& [name, content] : files_below(path("rm"))) {
      const bool large = name.ends_with(".safetensors");
      model.files[name] = {.content = content,
                           .etag = large ? sha256_hex(content) : git_blob_sha1(path("rm/" + name)),
                           .large = large};
    }
    FakeHub::Repo& data = hub_.repos["datasets/org/answers"];
    data.commit = std::string(40, 'b');
    data.files["helper.jsonl"] = {.content = read_file(responses("helper")),
                                  .etag = git_blob_sha1(responses("helper"))};
  }

  Outcome run(const std::vector<std::string>& arguments, const std::string& token = "hf_s3cret") {
    return run_charm(arguments, {.environment = {{"HF_ENDPOINT", hub_.url()},
                                                 {"HF_HUB_CACHE", path("cache")},
                                                 {"HF_TOKEN", token},
                                                 {"HF_HUB_OFFLINE", "0"}}});
  }

  std::vector<std::string> score(const std::string& output) {
    return {"score",    "--model",    "hub:org/rm", "--responses", "hub:org/answers",
            "--output", path(output), "--dtype",    "float32"};
  }

  FakeHub hub_;
};

TEST_F(HubSources, ScoreAsFromTheFolder) {
  int cuts = 0;
  hub_.fault = [&](int, const ServerRequest& request, ServerReply& reply) {
    if (request.path.find("safetensors") != std::string::npos && ++cuts < 4) reply.cut_after = 3000;
  };
  Outcome outcome = run(score("one"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(cuts, 4);
  ASSERT_EQ(run_charm({"score", "--model", path("rm"), "--responses", responses("helper"),
                       "--output", path("two"), "--dtype", "float32"})
                .code,
            0);
  EXPECT_EQ(read_file(path("one/helper.parquet")), read_file(path("two/helper.parquet")));
  for (const ServerRequest& request : hub_.store_requests())
    EXPECT_FALSE(request.has("authorization"));
  for (const auto& [name, content] : files_below(path("one")))
    EXPECT_THAT(content, Not(HasSubstr("hf_s3cret"))) << name;

  outcome = run({"prepare", "--input", "hub:org/answers/helper.jsonl", "--output",
                 path("prompts.jsonl"), "--limit", "5"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  hub_.stop();  // unreachable: the cache with a warning; offline: the cache without requests
  outcome = run({"inspect", "hub:org/rm", "--config-only"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("cache"));
  outcome = run({"inspect", "hub:org/rm", "--config-only", "--offline"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("warning")));
}

TEST_F(HubSources, ErrorsNameTheRepositoryButNotTheToken) {
  Outcome outcome = run({"inspect", "hub:org/rm"}, "hf_wr0ng");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("hub:org/rm"), HasSubstr("HF_TOKEN"), Not(HasSubstr("hf_wr0ng"))));
  outcome = run({"inspect", "hub:org/typo"});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err, HasSubstr("hub:org/typo"));
  outcome = run({"inspect", "hub:org/rm", "--offline"});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err, HasSubstr("offline"));
  outcome = run({"inspect", "hub:org/../rm"});
  EXPECT_EQ(outcome.code, 2);
  hub_.fault = [](int, const ServerRequest& request, ServerReply& reply) {
    if (request.path.find("safetensors") != std::string::npos) reply.body[100] ^= 1;
  };
  outcome = run({"inspect", "hub:org/rm"});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("model.safetensors"), HasSubstr("hash")));
}

}  // namespace
}  // namespace charm::e2e
