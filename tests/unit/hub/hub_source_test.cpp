#include <gtest/gtest.h>

#include "charm/hub/hub_cache.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::hub {
namespace {

TEST(HubSource, Forms) {
  HubSource source = parse_hub_source("hub:Qwen/Qwen2-7B");
  EXPECT_EQ(source.repo, "Qwen/Qwen2-7B");
  EXPECT_EQ(source.revision, "main");
  EXPECT_EQ(source.file, "");
  source = parse_hub_source("hub:a/b.c_d@refs/pr/3");
  EXPECT_EQ(source.repo, "a/b.c_d");
  EXPECT_EQ(source.revision, "refs/pr/3");
  source = parse_hub_source("hub:a/b/data/x.jsonl@v1.0");
  EXPECT_EQ(source.repo, "a/b");
  EXPECT_EQ(source.file, "data/x.jsonl");
  EXPECT_EQ(source.revision, "v1.0");
  EXPECT_EQ(parse_hub_source("hub:gpt2").repo, "gpt2");
  EXPECT_TRUE(is_hub_source("hub:a/b"));
  EXPECT_FALSE(is_hub_source("./hub:a"));
}

TEST(HubSource, RejectsOthers) {
  for (const char* wrong : {"hub:", "hub:/b", "hub:a/", "hub:a/b@", "hub:../b", "hub:a/../b",
                            "hub:a/b/../../c", "hub:a b/c", "a/b", "hub:a/b@../x"}) {
    EXPECT_EQ(charm::testing::error_of([&] { parse_hub_source(wrong); }).kind(), ErrorKind::kUsage)
        << wrong;
  }
}

}  // namespace
}  // namespace charm::hub
