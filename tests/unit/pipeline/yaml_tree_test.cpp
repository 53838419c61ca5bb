#include "charm/pipeline/yaml_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/base/error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::pipeline {
namespace {

using ::testing::HasSubstr;

/// A file of this process: tests run side by side.
fs::path write(const std::string& text) {
  static const testing::TempFolder folder;
  return folder.file("yaml_tree_test.yaml", text);
}

std::string refusal(const std::string& text) {
  try {
    read_yaml(write(text));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.message();
  }
  return "";
}

TEST(YamlTree, KeepsValuesAndLines) {
  const YamlValue value = read_yaml(write("a: 1\nb:\n  - x\n  - {c: \"two words\"}\n"));
  ASSERT_EQ(value.kind, YamlValue::Kind::kMap);
  EXPECT_EQ(value.find("a")->text, "1");
  EXPECT_EQ(value.find("b")->items.at(0).text, "x");
  EXPECT_EQ(value.find("b")->items.at(1).find("c")->text, "two words");
  EXPECT_EQ(value.find("b")->items.at(1).line, 4);
  EXPECT_EQ(value.find("nothing"), nullptr);
}

TEST(YamlTree, NamesTheLineOfBrokenYaml) {
  EXPECT_THAT(refusal("a: 1\nb: [1, 2\n"), HasSubstr("yaml_tree_test.yaml:"));
  EXPECT_THAT(refusal("a: 1\na: 2\n"), HasSubstr(":2: key 'a' is given twice"));
  EXPECT_THAT(refusal("run_dir: 1\nrun-dir: 2\n"), HasSubstr("given twice"));
}

TEST(YamlTree, AliasesOfAliasesAreCounted) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 9; ++k) text += alias + ", ";
    text += alias + "]\n";
  }
  EXPECT_THAT(refusal(text), HasSubstr("more than 10000 values"));
  EXPECT_THAT(refusal("&a [*a]\n"), HasSubstr("nested too deeply"));
}

TEST(YamlTree, AMissingFileIsAnIoError) {
  try {
    read_yaml("/nowhere/recipe.yaml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
}

}  // namespace
}  // namespace charm::pipeline
