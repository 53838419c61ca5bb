// Every property on its seeds, on seeded mutations of them, and on deeply nested input.

#include <gtest/gtest.h>

#include <algorithm>

#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/random.h"
#include "tests/fuzz/properties.h"
#include "tests/support/source_dir.h"

namespace charm::fuzz {
namespace {

const fs::path kRoot = charm::test::kSourceDir;
constexpr int kNumMutations = 800;           ///< per property, spread over its seeds
constexpr std::size_t kLargest = 64 * 1024;  ///< larger seeds are not mutated

const Property kProperties[] = {
    {"safetensors", safetensors_property, {"tests/data/golden/models"}},
    {"torch_file", torch_file_property, {"tests/data/golden/weights"}},
    {"config", config_property, {"tests/data/golden/models"}},
    {"tokenizer", tokenizer_property, {"tests/data/tokenizers"}},
    {"template", template_property, {"tests/data/templates"}},
    {"rows", rows_property, {"tests/data/storage"}},
    {"ratings", ratings_property, {}},
    {"recipe", recipe_property, {"examples"}},
};

/// The input bytes for a seed file.
std::string seed_of(const fs::path& file) {
  std::string bytes = read_file(file);
  if (file.filename() == "tokenizer.json")
    bytes += std::string(1, '\0') + "Hello  <s>world</s>, \xC3\xA9t\xC3\xA9!\n";
  return bytes;
}

bool belongs(const Property& property, const fs::path& file) {
  const fs::path name = file.filename(), extension = file.extension();
  if (property.name == "safetensors") return extension == ".safetensors";
  if (property.name == "torch_file") return extension == ".bin" || extension == ".pt";
  if (property.name == "config") return name == "config.json";
  if (property.name == "tokenizer") return name == "tokenizer.json";
  if (property.name == "rows") return extension == ".parquet" || extension == ".arrow";
  if (property.name == "recipe") return extension == ".yaml";
  return true;
}

std::vector<fs::path> seeds_of(const Property& property) {
  std::vector<fs::path> seeds;
  for (const std::string_view folder : property.seeds) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (entry.is_regular_file() && belongs(property, entry.path())) seeds.push_back(entry.path());
    }
  }
  const fs::path corpus = kRoot / "tests/fuzz/corpus" / property.name;
  for (const auto& entry : fs::directory_iterator(corpus)) seeds.push_back(entry.path());
  std::sort(seeds.begin(), seeds.end());
  return seeds;
}

class Inputs : public ::testing::TestWithParam<Property> {
 protected:
  void SetUp() override { log::set_level(log::Level::kOff); }
};

TEST_P(Inputs, SeedsHold) {
  const std::vector<fs::path> seeds = seeds_of(GetParam());
  ASSERT_FALSE(seeds.empty());
  int accepted = 0;
  for (const fs::path& seed : seeds) {
    SCOPED_TRACE(seed.string());
    EXPECT_NO_THROW(accepted += GetParam().check(seed_of(seed)) ? 1 : 0);
  }
  EXPECT_GT(accepted, 0) << "no seed is accepted";
}

TEST_P(Inputs, MutationsHold) {
  std::vector<std::string> seeds;
  for (const fs::path& seed : seeds_of(GetParam())) {
    if (std::string bytes = seed_of(seed); bytes.size() <= kLargest)
      seeds.push_back(std::move(bytes));
  }
  RandomStream random(2, GetParam().name);
  for (int round = 0; round < kNumMutations; ++round) {
    SCOPED_TRACE(round);
    const std::string& seed = seeds[static_cast<std::size_t>(round) % seeds.size()];
    ASSERT_NO_THROW(GetParam().check(mutate(seed, random)));
  }
}

std::string repeated(std::string_view part, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += part;
  return text;
}

TEST_P(Inputs, DeepNestingEndsInAnError) {
  // Enough to overflow the stack; tokenizer texts and YAML blocks take more than linear time.
  const bool slow = GetParam().name == "tokenizer" || GetParam().name == "recipe";
  const int levels = slow ? 4000 : 100000;
  for (const std::string_view open : {"[", "{\"a\":", "(", "{{(", "- "}) {
    SCOPED_TRACE(open);
    EXPECT_NO_THROW(GetParam().check(repeated(open, levels)));
  }
  // Balanced, so that parsers accept it, in fields that readers use.
  const std::string closed = repeated("[", levels) + repeated("]", levels);
  for (const std::string_view before :
       {"", "{\"architectures\":[\"LlamaForSequenceClassification\"],\"num_labels\":",
        "{\"prompt\":\"a\",\"response\":", "{\"name\":\"a\",\"score\":", "{\"added_tokens\":",
        "{{ ", "a: "}) {
    SCOPED_TRACE(before);
    const std::string after = before.starts_with("{{") ? " }}" : before.starts_with("{") ? "}" : "";
    EXPECT_NO_THROW(GetParam().check(std::string(before) + closed + after));
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Inputs, ::testing::ValuesIn(kProperties),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace charm::fuzz
