#include <gtest/gtest.h>

#include "charm/base/error.h"
#include "charm/pipeline/sources.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::pipeline {
namespace {

class ModelRegistry : public ::testing::Test {
 protected:
  fs::path write(const std::string& text) {
    write_file(file(), text);
    return file();
  }
  fs::path file() const { return folder_.path() / "rm_config.json"; }
  fs::path source(const std::string& name) const { return file().string() + ":" + name; }

  std::string refusal(const fs::path& source, ErrorKind kind) {
    try {
      registered_model(source);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.message();
      return error.message();
    }
    return "no error";
  }

  testing::TempFolder folder_;
};

constexpr const char* kTwo = R"([
  {"model_name": "RM-Mistral-7B", "model_path": "weqweasdas/RM-Mistral-7B", "pipeline_class": "LlamaPipeline"},
  {"model_name": "mine", "model_path": "models/mine", "pipeline_class": "LlamaPipeline"}])";

TEST_F(ModelRegistry, NamesAreFoundBesideTheFileOrOnTheHub) {
  write(kTwo);
  EXPECT_EQ(registered_model(source("RM-Mistral-7B")), "hub:weqweasdas/RM-Mistral-7B");
  create_folders(folder_.path() / "models/mine");
  EXPECT_EQ(registered_model(source("mine")), folder_.path() / "models/mine");
  create_folders(folder_.path() / "weqweasdas/RM-Mistral-7B");  // a folder goes before the Hub
  EXPECT_EQ(registered_model(source("RM-Mistral-7B")), folder_.path() / "weqweasdas/RM-Mistral-7B");
}

TEST_F(ModelRegistry, KnowsItsForm) {
  EXPECT_TRUE(is_registry_source("configs/rm_config.json:RM-Mistral-7B"));
  EXPECT_TRUE(is_registry_source("configs/rm_config.json"));
  EXPECT_FALSE(is_registry_source("models/rm"));
  EXPECT_FALSE(is_registry_source("hub:weqweasdas/RM-Mistral-7B"));
  EXPECT_EQ(registered_name("a.json:b/c"), "b/c");
  EXPECT_EQ(registered_name("a.json"), "");
}

TEST_F(ModelRegistry, TheOnlyModelNeedsNoName) {
  write(R"([{"model_name": "a", "model_path": "owner/a"}])");
  EXPECT_EQ(registered_model(file()), "hub:owner/a");
}

TEST_F(ModelRegistry, Refuses) {
  EXPECT_NE(refusal(source("a"), ErrorKind::kIo).find("rm_config.json"), std::string::npos);
  write(kTwo);
  EXPECT_NE(
      refusal(source("RM-Mistral-7b"), ErrorKind::kUsage).find("nearest names: RM-Mistral-7B"),
      std::string::npos);
  EXPECT_NE(refusal(file(), ErrorKind::kUsage).find("choose one as"), std::string::npos);
  write(R"([{"model_name": "a", "model_path": "../gone/for/ever"}])");
  EXPECT_NE(refusal(source("a"), ErrorKind::kIo).find("'../gone/for/ever' does not exist"),
            std::string::npos);
  for (const char* bad : {"{}", "[]", "[1]", R"([{"model_name": "a"}])",
                          R"([{"model_name": 1, "model_path": "b"}])"}) {
    write(bad);
    EXPECT_NE(refusal(source("a"), ErrorKind::kInput).find("expected"), std::string::npos) << bad;
  }
  write("[{");
  refusal(source("a"), ErrorKind::kInput);
}

}  // namespace
}  // namespace charm::pipeline
