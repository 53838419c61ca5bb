#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/base/hashing.h"
#include "charm/hub/hub_client.h"
#include "tests/support/fake_hub.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::hub {
namespace {

using charm::testing::error_of;
using charm::testing::FakeHub;
using charm::testing::ServerReply;
using charm::testing::ServerRequest;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HubFetch : public ::testing::Test {
 protected:
  HubFetch() {
    options.endpoint = hub.url();
    options.cache_dir = folder / "cache";
    options.retry = {.max_retries = 3,
                     .first_delay = std::chrono::milliseconds(1),
                     .max_delay = std::chrono::milliseconds(5)};
    FakeHub::Repo& model = hub.repos["models/org/tiny"];
    model.commit = std::string(40, 'a');
    model.files = {{"config.json", small("{}")},           {"tokenizer.json", small("{\"t\":1}")},
                   {"chat_template.jinja", small("hi")},   {"model.safetensors", large(weights)},
                   {"pytorch_model.bin", large("pickle")}, {"README.md", small("words")},
                   {"onnx/config.json", small("{}")}};
  }

  FakeHub::File small(const std::string& content) const {
    const fs::path file = folder.file("scratch", content);
    return {.content = content, .etag = git_blob_sha1(file)};
  }
  static FakeHub::File large(const std::string& content) {
    return {.content = content, .etag = sha256_hex(content), .large = true};
  }

  fs::path model() { return fetch_model(parse_hub_source("hub:org/tiny"), options); }

  charm::testing::TempFolder folder;
  std::string weights = std::string(200000, 'w') + "end";
  FakeHub hub;
  HubOptions options;
};

TEST_F(HubFetch, DownloadsIntoTheCacheLayout) {
  const fs::path snapshot = model();
  const fs::path repo = options.cache_dir / "models--org--tiny";
  EXPECT_EQ(snapshot, repo / "snapshots" / std::string(40, 'a'));
  EXPECT_EQ(read_file(repo / "refs/main"), std::string(40, 'a'));
  EXPECT_EQ(read_file(snapshot / "model.safetensors"), weights);
  EXPECT_TRUE(fs::is_symlink(snapshot / "config.json"));
  EXPECT_EQ(fs::read_symlink(snapshot / "model.safetensors"),
            fs::path("../../blobs") / sha256_hex(weights));
  EXPECT_TRUE(fs::exists(snapshot / "chat_template.jinja"));
  for (const char* unwanted : {"pytorch_model.bin", "README.md", "onnx"})
    EXPECT_FALSE(fs::exists(snapshot / unwanted)) << unwanted;
  // The second time nothing is downloaded.
  const int before = hub.num_downloads();
  EXPECT_EQ(model(), snapshot);
  EXPECT_EQ(hub.num_downloads(), before);
}

// Without a tokenizer.json they tell which command makes one.
TEST_F(HubFetch, OldTokenizersComeToo) {
  hub.repos["models/org/tiny"].files.insert({"spm.model", small("pieces")});
  hub.repos["models/org/tiny"].files.insert({"tokenizer.model", small("pieces")});
  const fs::path snapshot = model();
  EXPECT_TRUE(fs::exists(snapshot / "spm.model"));
  EXPECT_TRUE(fs::exists(snapshot / "tokenizer.model"));
}

TEST_F(HubFetch, DownloadsTheShardsOfAnIndex) {
  FakeHub::Repo& repo = hub.repos["models/org/tiny"];
  repo.files.erase("model.safetensors");
  repo.files["model.safetensors.index.json"] = small(
      R"({"weight_map":{"x":"model-00001-of-00002.safetensors","y":"model-00002-of-00002.safetensors"}})");
  repo.files["model-00001-of-00002.safetensors"] = large("one");
  repo.files["model-00002-of-00002.safetensors"] = large("two");
  repo.files["consolidated.safetensors"] = large("all of it again");
  const fs::path snapshot = model();
  EXPECT_EQ(read_file(snapshot / "model-00002-of-00002.safetensors"), "two");
  EXPECT_FALSE(fs::exists(snapshot / "consolidated.safetensors"));
}

TEST_F(HubFetch, OfAnAdapterItsWeightsAndHeadCome) {
  FakeHub::Repo& repo = hub.repos["models/org/tiny"];
  repo.files = {{"adapter_config.json", small("{\"peft_type\":\"LORA\"}")},
                {"adapter_model.bin", large("pickle")},
                {"adapter_model.safetensors", large(weights)},
                {"value_head.bin", large("head")},
                {"training_args.bin", large("other")}};
  const fs::path snapshot = model();
  for (const char* wanted : {"adapter_config.json", "adapter_model.safetensors", "value_head.bin"})
    EXPECT_TRUE(fs::exists(snapshot / wanted)) << wanted;
  for (const char* unwanted : {"adapter_model.bin", "training_args.bin"})
    EXPECT_FALSE(fs::exists(snapshot / unwanted)) << unwanted;
  options.offline = true;
  EXPECT_EQ(model(), snapshot);
}

TEST_F(HubFetch, WithoutSafetensorsTheConversionOfTheHubsBotIsTaken) {
  FakeHub::Repo& repo = hub.repos["models/org/tiny"];
  repo.files.erase("model.safetensors");
  repo.converted = repo.files;
  repo.converted["model.safetensors"] = large(weights);
  repo.converted_commit = std::string(40, 'c');
  repo.discussions = R"({"discussions": [
    {"num": 3, "isPullRequest": true, "title": "Adding `safetensors` variant of this model",
     "author": {"name": "somebody"}}]})";
  fs::path snapshot = model();
  EXPECT_EQ(read_file(snapshot / "pytorch_model.bin"), "pickle") << "not somebody's weights";
  repo.discussions = R"({"discussions": [
    {"num": 1, "isPullRequest": true, "title": "Update README.md", "author": {"name": "SFconvertbot"}},
    {"num": 7, "isPullRequest": true, "title": "Adding `safetensors` variant of this model",
     "author": {"name": "SFconvertbot"}}]})";
  repo.revisions.insert("refs/pr/7");
  snapshot = model();
  EXPECT_EQ(snapshot.filename(), std::string(40, 'c'));
  EXPECT_EQ(read_file(snapshot / "model.safetensors"), weights);
  options.offline = true;
  options.cache_dir = folder / "other";
  EXPECT_EQ(error_of([&] { model(); }).kind(), ErrorKind::kNetwork);
}

TEST_F(HubFetch, AConversionIsFoundOffline) {
  FakeHub::Repo& repo = hub.repos["models/org/tiny"];
  repo.files = {{"config.json", small("{}")}};
  repo.converted = {{"config.json", small("{}")}, {"model.safetensors", large(weights)}};
  repo.converted_commit = std::string(40, 'c');
  repo.discussions = R"({"discussions": [
    {"num": 7, "isPullRequest": true, "title": "Adding `safetensors` variant of this model",
     "author": {"name": "SFconvertbot"}}]})";
  repo.revisions.insert("refs/pr/7");
  const fs::path snapshot = model();
  options.offline = true;
  EXPECT_EQ(model(), snapshot);
}

TEST_F(HubFetch, ARepositoryInTheCacheStandsForItsSnapshot) {
  const fs::path snapshot = model();
  const fs::path repo = options.cache_dir / "models--org--tiny";
  EXPECT_EQ(cached_snapshot(repo), snapshot);
  EXPECT_EQ(cached_snapshot(snapshot), snapshot);
  EXPECT_EQ(cached_snapshot(folder.path()), folder.path());
  fs::remove(repo / "refs/main");
  EXPECT_EQ(cached_snapshot(repo), snapshot) << "the only one";
  fs::create_directories(repo / "snapshots" / "other");
  EXPECT_THAT(error_of([&] { cached_snapshot(repo); }).message(), HasSubstr("2 snapshots"));
}

TEST_F(HubFetch, TheTokenIsSentToTheHubOnly) {
  hub.repos["models/org/tiny"].needs_token = "hf_secret";
  Error error = error_of([&] { model(); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("org/tiny"), HasSubstr("HF_TOKEN")));
  options.token = "hf_wrong";
  error = error_of([&] { model(); });
  EXPECT_THAT(error.message(), AllOf(HasSubstr("no access"), Not(HasSubstr("hf_wrong"))));
  options.token = "hf_secret";
  model();
  ASSERT_FALSE(hub.store_requests().empty());
  for (const ServerRequest& request : hub.store_requests())
    EXPECT_FALSE(request.has("authorization"));
}

TEST_F(HubFetch, InterruptedDownloadsResume) {
  std::vector<std::string> ranges;
  hub.fault = [&](int, const ServerRequest& request, ServerReply& reply) {
    if (request.path.find("model.safetensors") == std::string::npos) return;
    ranges.push_back(request.header("range"));
    if (ranges.size() <= 5) reply.cut_after = 30000;
  };
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights);
  ASSERT_EQ(ranges.size(), 6u);  // more cuts than retries: progress counts
  EXPECT_EQ(ranges[0], "");
  EXPECT_EQ(ranges[1], "bytes=30000-");
  EXPECT_EQ(ranges[5], "bytes=150000-");
}

TEST_F(HubFetch, AKilledDownloadResumesInTheNextRun) {
  const fs::path partial =
      options.cache_dir / "models--org--tiny/blobs" / (sha256_hex(weights) + ".incomplete");
  write_file(partial, weights.substr(0, 123456));
  std::string range;
  hub.fault = [&](int, const ServerRequest& request, ServerReply&) {
    if (request.has("range")) range = request.header("range");
  };
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights);
  EXPECT_EQ(range, "bytes=123456-");
  EXPECT_FALSE(fs::exists(partial));
}

TEST_F(HubFetch, ServersWithoutRangesStartOver) {
  const fs::path partial =
      options.cache_dir / "models--org--tiny/blobs" / (sha256_hex(weights) + ".incomplete");
  write_file(partial, weights.substr(0, 1000));
  hub.fault = [&](int, const ServerRequest& request, ServerReply& reply) {
    if (request.has("range")) reply = {.body = weights};
  };
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights);
}

TEST_F(HubFetch, CorruptDownloadsAreRejected) {
  const fs::path place = options.cache_dir / "models--org--tiny/snapshots" / std::string(40, 'a') /
                         "model.safetensors";
  hub.fault = [&](int, const ServerRequest& request, ServerReply& reply) {
    if (request.path.find("model.safetensors") != std::string::npos) reply.body[7] = 'X';
  };
  Error error = error_of([&] { model(); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(),
              AllOf(HasSubstr("model.safetensors"), HasSubstr(sha256_hex(weights))));
  EXPECT_FALSE(fs::exists(place));
  fs::remove_all(options.cache_dir);
  hub.fault = [&](int, const ServerRequest& request, ServerReply& reply) {
    if (request.path.find("config.json") != std::string::npos) reply.body = "[]";
  };
  EXPECT_THAT(error_of([&] { model(); }).message(), HasSubstr("config.json"));
  // A partial file that is not a prefix: detected by its hash, then downloaded again.
  hub.fault = {};
  write_file(options.cache_dir / "models--org--tiny/blobs" / (sha256_hex(weights) + ".incomplete"),
             std::string(500, '?'));
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights);
}

TEST_F(HubFetch, ServerErrorsAreRetriedThenReported) {
  hub.fault = [&](int number, const ServerRequest&, ServerReply& reply) {
    if (number % 2 == 1) reply = {.status = 503};
  };
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights);
  fs::remove_all(options.cache_dir);
  hub.fault = [&](int, const ServerRequest&, ServerReply& reply) { reply = {.status = 500}; };
  const Error error = error_of([&] { model(); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), HasSubstr("HTTP 500"));
}

TEST_F(HubFetch, MissingRepositoriesAndRevisionsAreReported) {
  EXPECT_THAT(error_of([&] { fetch_model(parse_hub_source("hub:org/typo"), options); }).message(),
              AllOf(HasSubstr("org/typo"), HasSubstr("spelling")));
  EXPECT_THAT(
      error_of([&] { fetch_model(parse_hub_source("hub:org/tiny@v9"), options); }).message(),
      HasSubstr("no revision 'v9'"));
  hub.repos["models/org/tiny"].files.erase("model.safetensors");
  hub.repos["models/org/tiny"].files.erase("pytorch_model.bin");
  const Error error = error_of([&] { model(); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("has no weights"), HasSubstr("README.md")));
}

TEST_F(HubFetch, OfflineUsesTheCacheOrFails) {
  options.offline = true;
  Error error = error_of([&] { model(); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), HasSubstr("offline"));
  EXPECT_TRUE(hub.hub_requests().empty());
  options.offline = false;
  const fs::path snapshot = model();
  options.offline = true;
  EXPECT_EQ(model(), snapshot);
  fs::remove(snapshot / "model.safetensors");
  EXPECT_THAT(error_of([&] { model(); }).message(), HasSubstr("not (completely) in the cache"));
}

TEST_F(HubFetch, AnUnreachableHubFallsBackToTheCache) {
  const fs::path snapshot = model();
  hub.stop();
  EXPECT_EQ(model(), snapshot);
  const Error error = error_of([&] { fetch_model(parse_hub_source("hub:org/other"), options); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), HasSubstr(options.endpoint));
}

TEST_F(HubFetch, DataSets) {
  FakeHub::Repo& data = hub.repos["datasets/org/prefs"];
  data.commit = std::string(40, 'b');
  data.files = {{"README.md", small("words")},
                {"data/train-00000-of-00002.parquet", large("P1")},
                {"data/train-00001-of-00002.parquet", large("P2")},
                {"data/test-00000-of-00001.parquet", large("T1")}};
  const fs::path train = fetch_dataset(parse_hub_source("hub:org/prefs"), "train", options);
  EXPECT_EQ(train.filename(), "data");
  EXPECT_EQ(read_file(train / "train-00001-of-00002.parquet"), "P2");
  EXPECT_FALSE(fs::exists(train / "test-00000-of-00001.parquet"));
  EXPECT_EQ(read_file(fetch_dataset(
                parse_hub_source("hub:org/prefs/data/test-00000-of-00001.parquet"), {}, options)),
            "T1");
  EXPECT_THAT(error_of([&] {
                fetch_dataset(parse_hub_source("hub:org/prefs/no.jsonl"), {}, options);
              }).message(),
              HasSubstr("no.jsonl"));

  FakeHub::Repo& lines = hub.repos["datasets/org/lines"];
  lines.commit = std::string(40, 'c');
  lines.files = {{"all.jsonl", small("{}")}, {"dataset_infos.json", small("{}")}};
  EXPECT_EQ(fetch_dataset(parse_hub_source("hub:org/lines"), {}, options).filename(), "all.jsonl");
  lines.files["more.jsonl"] = small("{}");
  EXPECT_THAT(
      error_of([&] { fetch_dataset(parse_hub_source("hub:org/lines"), {}, options); }).message(),
      HasSubstr("more.jsonl"));
}

TEST_F(HubFetch, NamesOutsideOfTheSnapshotAreIgnored) {
  FakeHub::Repo& repo = hub.repos["models/org/tiny"];
  repo.files["../../../evil.json"] = small("{}");
  repo.files["/abs.json"] = small("{}");
  model();
  EXPECT_FALSE(fs::exists(options.cache_dir / "evil.json"));
  EXPECT_FALSE(fs::exists(folder / "evil.json"));
}

TEST_F(HubFetch, AFullDiskIsAnIoError) {
  fs::create_directories(options.cache_dir / "models--org--tiny");
  write_file(options.cache_dir / "models--org--tiny/blobs", "in the way");
  EXPECT_EQ(error_of([&] { model(); }).kind(), ErrorKind::kIo);
}

TEST(HubOptions, FromTheEnvironment) {
  for (const char* name :
       {"HF_ENDPOINT", "HF_TOKEN", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_OFFLINE"})
    unsetenv(name);
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(hub_options_of_environment(false).endpoint, "https://huggingface.co");
  EXPECT_EQ(hub_options_of_environment(false).cache_dir, "/home/me/.cache/huggingface/hub");
  EXPECT_FALSE(hub_options_of_environment(false).offline);
  EXPECT_TRUE(hub_options_of_environment(true).offline);
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(hub_options_of_environment(false).cache_dir, "/xdg/huggingface/hub");
  setenv("HF_HOME", "/hf", 1);
  EXPECT_EQ(hub_options_of_environment(false).cache_dir, "/hf/hub");
  setenv("HF_HUB_CACHE", "/c", 1);
  setenv("HF_ENDPOINT", "http://mirror/", 1);
  setenv("HF_TOKEN", "t\n", 1);
  setenv("HF_HUB_OFFLINE", "true", 1);
  const HubOptions options = hub_options_of_environment(false);
  EXPECT_EQ(options.cache_dir, "/c");
  EXPECT_EQ(options.endpoint, "http://mirror");
  EXPECT_EQ(options.token, "t");
  EXPECT_TRUE(options.offline);
  for (const char* name :
       {"HF_ENDPOINT", "HF_TOKEN", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_OFFLINE"})
    unsetenv(name);
}

}  // namespace
}  // namespace charm::hub
