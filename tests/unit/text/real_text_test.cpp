// Real tokenizers and templates; skipped where ../shared/data is absent.
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <vector>

#include "charm/text/conversation_encoder.h"
#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

std::string read_gzip(const fs::path& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  std::string content;
  std::vector<char> buffer(1 << 20);
  for (int got = 0;
       (got = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return content;
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find(separator, begin)) != std::string::npos;
       begin = end + separator.size()) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

struct Vectors {
  const char* name;
  const char* tokenizer;
};

// Parameter name in test listings.
void PrintTo(const Vectors& vectors, std::ostream* out) { *out << vectors.name; }

class RealTokenizer : public ::testing::TestWithParam<Vectors> {};

TEST_P(RealTokenizer, ReproducesItsTestVectors) {
  const fs::path json = kSharedData / "tokenizers" / GetParam().tokenizer / "tokenizer.json.gz";
  if (!fs::exists(json)) GTEST_SKIP() << json << " is absent";
  const Tokenizer tokenizer = Tokenizer::from_json(read_gzip(json), json.string());
  const fs::path vectors = kSharedData / "tokenizers/test_vectors" / GetParam().name;
  const auto texts = split(read_file(vectors.string() + ".inp"), "\n__ggml_vocab_test__\n");
  const auto lines = split(read_file(vectors.string() + ".out"), "\n");
  int equal = 0;
  int compared = 0;
  for (std::size_t i = 0; i < texts.size() && i < 47; ++i, ++compared) {
    std::vector<std::int32_t> expected;
    std::istringstream numbers(lines.at(i));
    for (std::int32_t id = 0; numbers >> id;) expected.push_back(id);
    const auto ids = tokenizer.encode(texts[i], AddSpecialTokens::kNo);
    EXPECT_EQ(ids, expected) << "text " << i << ": " << texts[i];
    equal += ids == expected ? 1 : 0;
  }
  EXPECT_EQ(compared, 47);
  EXPECT_EQ(equal, 47);
}

INSTANTIATE_TEST_SUITE_P(All, RealTokenizer,
                         ::testing::Values(Vectors{"llama-bpe", "llama-3"},
                                           Vectors{"qwen2", "qwen2"},
                                           Vectors{"llama-spm", "llama-2"}),
                         [](const auto& vectors) {
                           std::string name = vectors.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Templates without a system turn reject it; nothing else may fail.
bool renders(const ChatTemplate& chat_template, const Conversation& conversation) {
  try {
    const std::string text = chat_template.render(conversation, GenerationPrompt::kNo);
    EXPECT_NE(text.find(conversation.back().content), std::string::npos) << text;
    chat_template.render(conversation, GenerationPrompt::kYes);
    return true;
  } catch (const Error& e) {
    EXPECT_THAT(e.message(), ::testing::HasSubstr("refuses this conversation"));
    return false;
  }
}

TEST(RealTemplates, SingleTurnSeveralTurnsAndSystem) {
  const fs::path folder = kSharedData / "chat_templates";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is absent";
  const Conversation single{{"user", "Why is the sky blue?"},
                            {"assistant", "Rayleigh scattering."}};
  const Conversation several{
      {"user", "Hi"}, {"assistant", "Hello!"}, {"user", "<b>?"}, {"assistant", "\"no\" & yes"}};
  Conversation with_system = single;
  with_system.insert(with_system.begin(), {"system", "Be brief."});
  int templates = 0;
  int systems = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const SpecialTokens tokens{{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    const auto chat_template = ChatTemplate::from_source(read_file(entry.path()), tokens,
                                                         "2024-07-26", entry.path().string());
    EXPECT_TRUE(renders(chat_template, single));
    EXPECT_TRUE(renders(chat_template, several));
    systems += renders(chat_template, with_system) ? 1 : 0;
    ++templates;
  }
  EXPECT_GE(templates, 18);
  EXPECT_EQ(templates - systems, 2);  // Gemma-2 and Mistral v0.2 refuse a system turn
}

}  // namespace
}  // namespace charm::text
