// Pairs of texts for bidirectional encoders; tests/golden/encoder_golden_test.cpp compares them
// with transformers.
#include "charm/text/text_pair.h"

#include <nlohmann/json.hpp>

#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int32_t kHelloId = 259, kStart = 270, kEnd = 271;

json piece(const char* token, int type) {
  return {{"SpecialToken", {{"id", token}, {"type_id", type}}}};
}
json text_piece(const char* name, int type) {
  return {{"Sequence", {{"id", name}, {"type_id", type}}}};
}

json pair_processor() {
  return {{"type", "TemplateProcessing"},
          {"single", {piece("<s>", 0), text_piece("A", 0), piece("</s>", 0)}},
          {"pair",
           {piece("<s>", 0), text_piece("A", 0), piece("</s>", 0), text_piece("B", 1),
            piece("</s>", 1)}},
          {"special_tokens",
           {{"<s>", {{"id", "<s>"}, {"ids", {kStart}}, {"tokens", {"<s>"}}}},
            {"</s>", {{"id", "</s>"}, {"ids", {kEnd}}, {"tokens", {"</s>"}}}}}}};
}

/// bos_bpe with another post-processor.
void write_processor(const ModelFolder& folder, const json& processor) {
  json tokenizer = json::parse(read_file(folder / "tokenizer.json"));
  tokenizer["post_processor"] = processor;
  folder.file("tokenizer.json", tokenizer.dump());
}

ConversationEncoder encoder_of(const ModelFolder& folder, EncoderOptions options = {}) {
  options.text_pairs = true;
  return {folder.path(), options};
}

TEST(TextPair, PromptAndResponseBetweenTheSpecialTokens) {
  const ModelFolder folder("bos_bpe");
  for (const json& processor :
       {pair_processor(),
        json{{"type", "Sequence"},
             {"processors", json::array({{{"type", "ByteLevel"},
                                          {"add_prefix_space", true},
                                          {"trim_offsets", true},
                                          {"use_regex", true}},
                                         pair_processor()})}},
        json{{"type", "BertProcessing"}, {"sep", {"</s>", kEnd}}, {"cls", {"<s>", kStart}}}}) {
    write_processor(folder, processor);
    const ConversationEncoder encoder = encoder_of(folder);
    EXPECT_TRUE(encoder.encodes_pairs());
    const EncodedConversation encoded = encoder.encode({{"user", "hello"}}, "hello");
    EXPECT_THAT(encoded.ids, ElementsAre(kStart, kHelloId, kEnd, kHelloId, kEnd));
    EXPECT_EQ(encoded.prompt_length, 3);
    EXPECT_THAT(encoder.encode({{"user", ""}}, "hello").ids,
                ElementsAre(kStart, kEnd, kHelloId, kEnd));
    EXPECT_THAT(encoder.encode({{"user", "hello"}}, "").ids, ElementsAre(kStart, kHelloId, kEnd));
    EXPECT_EQ(encoder.chat_template().source(), "<s> {{ prompt }} </s> {{ response }} </s>");
    const EncodedRow rendered = encoder.encode_rendered("hello");
    EXPECT_THAT(rendered.tokens.ids, ElementsAre(kStart, kHelloId, kEnd));
    EXPECT_EQ(rendered.tokens.prompt_length, 0);
  }
}

TEST(TextPair, ATemplateWinsAndGivesOneText) {
  const ModelFolder folder("bos_bpe");
  write_processor(folder, pair_processor());
  folder.file("chat_template.jinja",
              "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}");
  const EncodedConversation encoded =
      encoder_of(folder).encode({{"user", "hello"}, {"assistant", "hello"}}, "");
  EXPECT_THAT(encoded.ids, ElementsAre(kStart, kHelloId, kHelloId, kEnd));
  EXPECT_EQ(encoded.prompt_length, 0);  // one text, of one token type
}

TEST(TextPair, SpecialTokensStayInWhatIsCut) {
  const ModelFolder folder("bos_bpe");
  write_processor(folder, pair_processor());
  const auto cut = [&](std::int64_t max_tokens, Truncation truncation) {
    EncoderOptions options;
    options.max_tokens = max_tokens;
    options.truncation = truncation;
    return encoder_of(folder, options).encode({{"user", "ab"}}, "cdefgh");
  };
  const EncodedConversation left = cut(8, Truncation::kLeft);
  EXPECT_THAT(left.ids, ElementsAre(kStart, 'a', 'b', kEnd, 'f', 'g', 'h', kEnd));
  EXPECT_TRUE(left.truncated);
  EXPECT_EQ(left.full_length, 11);
  EXPECT_THAT(cut(8, Truncation::kRight).ids,
              ElementsAre(kStart, 'a', 'b', kEnd, 'c', 'd', 'e', kEnd));
  EXPECT_THAT(cut(5, Truncation::kRight).ids, ElementsAre(kStart, 'a', kEnd, 'c', kEnd));
  expect_error(ErrorKind::kInput, HasSubstr("11 tokens, more than --max-tokens 10"),
               [&] { cut(10, Truncation::kError); });
  expect_error(ErrorKind::kInput, HasSubstr("no room beside the 3 special tokens"),
               [&] { cut(3, Truncation::kLeft); });
}

TEST(TextPair, ConversationsOfMoreThanTwoTextsAreRefusedWithTheNextStep) {
  const ModelFolder folder("bos_bpe");
  write_processor(folder, pair_processor());
  const ConversationEncoder encoder = encoder_of(folder);
  const auto error = [&](const Conversation& prompt, const Message& response) {
    return encoder.encode_row(prompt, encoder.prompt_ids(prompt), response).error.value_or("");
  };
  const Message answer{"assistant", "hello"};
  EXPECT_THAT(error({{"user", "a"}, {"assistant", "b"}, {"user", "c"}}, answer),
              AllOf(HasSubstr("3 messages"), HasSubstr("--template FILE")));
  EXPECT_THAT(error({{"system", "a"}}, answer), HasSubstr("one message of the system"));
  EXPECT_THAT(error({}, answer), HasSubstr("0 messages"));
  Conversation with_tools{{"user", "a"}};
  with_tools.tools = "[]";
  EXPECT_THAT(error(with_tools, answer), HasSubstr("tools"));
  EXPECT_THAT(error({{"user", "a"}}, {"assistant", "", R"({"tool_calls":[]})"}),
              AllOf(HasSubstr("tool_calls"), HasSubstr("--template FILE")));
  EXPECT_EQ(
      error({{"user", "a"}}, {"assistant", "b", R"({"content":[{"type":"text","text":"b"}]})"}),
      "");
}

TEST(TextPair, ATokenizerThatMakesNoPairIsRefused) {
  const ModelFolder folder("byte_bpe");
  const auto refusal = [&](const char* found) {
    expect_error(ErrorKind::kInput,
                 AllOf(HasSubstr("tokenizer.json"), HasSubstr(found), HasSubstr("[CLS] $A [SEP]")),
                 [&] { encoder_of(folder); });
  };
  refusal("a ByteLevel");
  write_processor(folder, nullptr);
  refusal("no post-processor");
  json processor = pair_processor();
  processor["pair"][3]["Sequence"]["type_id"] = 0;
  write_processor(folder, processor);
  refusal("'pair' is");
  processor = pair_processor();
  processor["pair"].erase(3);
  write_processor(folder, processor);
  refusal("'pair' is");
}

TEST(TextPair, ASentencePieceModelAloneIsRefusedWithTheLineThatConvertsIt) {
  const charm::testing::TempFolder folder;
  folder.file("spm.model", "x");
  expect_error(ErrorKind::kInput,
               AllOf(HasSubstr("found spm.model"), HasSubstr("save_pretrained"),
                     HasSubstr("transformers<5")),
               [&] { Tokenizer::load(folder.path()); });
}

}  // namespace
}  // namespace charm::text
