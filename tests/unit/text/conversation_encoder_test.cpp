#include "charm/text/conversation_encoder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int32_t kHello = 259;
constexpr std::int32_t kBos = 270;
constexpr std::int32_t kEos = 271;

// Templates without and with BOS; both render every message's content and nothing else.
constexpr const char* kPlain = "{% for m in messages %}{{ m.content }}{% endfor %}";
constexpr const char* kWithBos =
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";

struct Case {
  const char* tokenizer;
  const char* chat_template;
  BosPolicy bos = BosPolicy::kOnce;
  const char* config = nullptr;
};

std::vector<std::int32_t> encode(const Case& c, const std::string& prompt,
                                 const std::string& response) {
  const ModelFolder folder(c.tokenizer);
  folder.file("chat_template.jinja", c.chat_template);
  if (c.config != nullptr) folder.file("tokenizer_config.json", c.config);
  EncoderOptions options;
  options.bos = c.bos;
  return ConversationEncoder(folder.path(), options).encode({{"user", prompt}}, response).ids;
}

TEST(BosOnce, WhoeverWritesIt) {
  EXPECT_THAT(encode({"byte_bpe", kPlain}, "hello", ""), ElementsAre(kHello));  // neither adds BOS
  EXPECT_THAT(encode({"byte_bpe", kWithBos}, "hello", ""),
              ElementsAre(kBos, kHello));  // the template adds it
  EXPECT_THAT(encode({"bos_bpe", kPlain}, "hello", ""),
              ElementsAre(kBos, kHello));  // the tokenizer adds it, without EOS
  EXPECT_THAT(encode({"bos_bpe", kWithBos}, "hello", ""), ElementsAre(kBos, kHello));  // both would
}

TEST(BosOnce, OnlyTheStartCounts) {
  EXPECT_THAT(encode({"bos_bpe", kPlain}, "hello", "<s>"), ElementsAre(kBos, kHello, kBos));
  EXPECT_THAT(encode({"bos_bpe", kWithBos}, "<s>", "hello"), ElementsAre(kBos, kBos, kHello));
}

// transformers 5.17 and 5.23 do not read the key where a tokenizer.json is.
TEST(BosOnce, AddBosTokenOfTheConfigurationHasNoEffect) {
  const char* yes = R"({"bos_token": "<s>", "add_bos_token": true, "added_tokens_decoder": {}})";
  const char* no = R"({"bos_token": "<s>", "add_bos_token": false, "added_tokens_decoder": {}})";
  EXPECT_THAT(encode({"byte_bpe", kPlain, BosPolicy::kOnce, yes}, "hello", ""),
              ElementsAre(kHello));
  EXPECT_THAT(encode({"byte_bpe", kWithBos, BosPolicy::kOnce, yes}, "hello", ""),
              ElementsAre(kBos, kHello));
  EXPECT_THAT(encode({"bos_bpe", kPlain, BosPolicy::kOnce, no}, "hello", ""),
              ElementsAre(kBos, kHello));
}

TEST(BosAsTemplate, DoublesWhatBothWrite) {
  EXPECT_THAT(encode({"bos_bpe", kWithBos, BosPolicy::kAsTemplate}, "hello", ""),
              ElementsAre(kBos, kBos, kHello, kEos));
  EXPECT_THAT(encode({"bos_bpe", kPlain, BosPolicy::kAsTemplate}, "hello", ""),
              ElementsAre(kBos, kHello, kEos));
  EXPECT_THAT(encode({"byte_bpe", kPlain, BosPolicy::kAsTemplate}, "hello", ""),
              ElementsAre(kHello));
}

class Encoder : public ::testing::Test {
 protected:
  EncodedConversation encode(EncoderOptions options, const std::string& prompt,
                             const std::string& response) {
    return ConversationEncoder(folder_.path(), std::move(options))
        .encode({{"user", prompt}}, response);
  }
  void use(const char* chat_template) { folder_.file("chat_template.jinja", chat_template); }

  ModelFolder folder_{"byte_bpe"};
};

TEST_F(Encoder, PromptLengthIsTheCommonPrefix) {
  use("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}{% if add_generation_prompt "
      "%}<|im_start|>{% endif %}");
  const EncodedConversation row = encode({}, "hello", "xy");
  EXPECT_THAT(row.ids, ElementsAre(273, kHello, 273, 'x', 'y'));
  EXPECT_EQ(row.prompt_length, 3);
  EXPECT_EQ(row.full_length, 5);
  EXPECT_FALSE(row.truncated);
  // An empty response: the last token counts as the response's although the prompt has it too.
  EXPECT_EQ(encode({}, "hello", "").ids.size(), 3u);
  EXPECT_EQ(encode({}, "hello", "").prompt_length, 2);
}

TEST_F(Encoder, TokensThatMergeAcrossTheBorderAreNotShared) {
  use(kPlain);
  // "hell" + "o" merge into one token, so "hell" (258) is not in the common prefix.
  const EncodedConversation row = encode({}, "hell", "o!");
  EXPECT_EQ(row.ids.front(), kHello);
  EXPECT_EQ(row.prompt_length, 0);
}

TEST_F(Encoder, TemplatesThatRefuseAPromptAlone) {
  use("{% if messages[-1].role != 'assistant' %}{{ raise_exception('unfinished') }}{% endif "
      "%}hello");
  const EncodedConversation row = encode({}, "x", "y");
  EXPECT_THAT(row.ids, ElementsAre(kHello));
  EXPECT_EQ(row.prompt_length, 0);
}

TEST_F(Encoder, Truncation) {
  use("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}{% if add_generation_prompt "
      "%}<|im_start|>{% endif %}");
  EncoderOptions options;
  options.max_tokens = 4;
  EncodedConversation row = encode(options, "hello", "xy");
  EXPECT_THAT(row.ids, ElementsAre(kHello, 273, 'x', 'y'));
  EXPECT_TRUE(row.truncated);
  EXPECT_EQ(row.prompt_length, 0);
  EXPECT_EQ(row.full_length, 5);

  options.truncation = Truncation::kRight;
  row = encode(options, "hello", "xy");
  EXPECT_THAT(row.ids, ElementsAre(273, kHello, 273, 'x'));
  EXPECT_EQ(row.prompt_length, 3);
  options.max_tokens = 2;  // the response is truncated away: the last token still counts as its own
  EXPECT_EQ(encode(options, "hello", "xy").prompt_length, 1);

  options.truncation = Truncation::kError;
  options.max_tokens = 5;
  EXPECT_FALSE(encode(options, "hello", "xy").truncated);
  options.max_tokens = 4;
  expect_error(ErrorKind::kInput, HasSubstr("5 tokens, more than --max-tokens 4"),
               [&] { encode(options, "hello", "xy"); });
}

TEST_F(Encoder, RowsOfAPromptEqualSingleOnesAndKeepTheirErrors) {
  use("{% for m in messages %}{% if m.content == 'bad' %}{{ raise_exception('bad word') }}{% endif "
      "%}"
      "<|im_start|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif "
      "%}");
  const ConversationEncoder encoder(folder_.path(), {});
  const Conversation prompt{{"system", "in order"}, {"user", "hello the world"}};
  const std::vector<std::string_view> responses{"one", "", "bad", "\xff", "two\n\n"};
  const auto encode_all = [&](const Conversation& shared) {
    const std::vector<std::int32_t> prompt_ids = encoder.prompt_ids(shared);
    std::vector<EncodedRow> rows;
    for (const std::string_view response : responses)
      rows.push_back(encoder.encode_row(shared, prompt_ids, {"assistant", std::string(response)}));
    return rows;
  };
  const std::vector<EncodedRow> rows = encode_all(prompt);
  for (const std::size_t i : {0, 1, 4}) {
    const EncodedConversation single = encoder.encode(prompt, responses[i]);
    EXPECT_FALSE(rows[i].error) << *rows[i].error;
    EXPECT_EQ(rows[i].tokens.ids, single.ids);
    EXPECT_EQ(rows[i].tokens.prompt_length, single.prompt_length);
    EXPECT_GT(single.prompt_length, 10);
  }
  EXPECT_THAT(rows[2].error.value(), HasSubstr("bad word"));
  EXPECT_THAT(rows[3].error.value(), HasSubstr("UTF-8"));
  // A prompt that the template rejects in any form is every row's error.
  for (const EncodedRow& row : encode_all({{"user", "bad"}})) EXPECT_TRUE(row.error);
}

TEST_F(Encoder, StripThinkingRemovesItBeforeRendering) {
  use("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}");
  EncoderOptions options;
  const auto plain = encode(options, "hello", "xy").ids;
  EXPECT_NE(encode(options, "hello", "<think>a</think>\nxy").ids, plain);
  options.strip_thinking = true;
  EXPECT_EQ(encode(options, "hello", "<think>a</think>\nxy").ids, plain);
  EXPECT_EQ(encode(options, "hello", "xy").ids, plain);
}

TEST_F(Encoder, NothingToScoreIsAnError) {
  use("");
  expect_error(ErrorKind::kInput, HasSubstr("nothing"), [&] { encode({}, "hello", "xy"); });
}

TEST_F(Encoder, OptionsReachTheTemplate) {
  use("unused");
  folder_.file("mine.jinja", "{{ strftime_now('%Y') }}");
  EncoderOptions options;
  options.template_file = folder_.path() / "mine.jinja";
  options.template_date = "1999-12-31";
  const ConversationEncoder encoder(folder_.path(), options);
  const EncodedConversation row = encoder.encode({{"user", "x"}}, "y");
  EXPECT_EQ(encoder.tokenizer().decode(row.ids, false), "1999");
}

TEST(EncodeRendered, HasTheTokensAndThePromptOfItsConversation) {
  constexpr const char* kTurns =
      "{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}"
      "{% if add_generation_prompt %}[assistant]{% endif %}";
  for (const char* tokenizer : {"byte_bpe", "bos_bpe"}) {
    for (const std::int64_t max_tokens : {4096, 30}) {
      const ModelFolder folder(tokenizer);
      folder.file("chat_template.jinja", kTurns);
      EncoderOptions options;
      options.max_tokens = max_tokens;
      const ConversationEncoder encoder(folder.path(), options);
      const Conversation prompt = {
          {"user", "hello"}, {"assistant", "hello hello"}, {"user", "what"}};
      const Message response{"assistant", "hello there"};
      const EncodedConversation expected = encoder.encode(prompt, response);
      const EncodedRow row =
          encoder.encode_rendered(encoder.chat_template().render(prompt, response));
      EXPECT_FALSE(row.error);
      EXPECT_EQ(row.tokens.ids, expected.ids);
      EXPECT_EQ(row.tokens.prompt_length, expected.prompt_length);
      EXPECT_EQ(row.tokens.truncated, expected.truncated);
    }
  }
}

TEST(EncodeRendered, TextsWithoutAHeaderHaveNoPrompt) {
  const ModelFolder folder("bos_bpe");
  folder.file("chat_template.jinja", kPlain);
  const ConversationEncoder encoder(folder.path(), {});
  EXPECT_THAT(encoder.encode_rendered("hello").tokens.ids, ElementsAre(kBos, kHello));
  EXPECT_THAT(encoder.encode_rendered("<s>hello").tokens.ids, ElementsAre(kBos, kHello));
  EXPECT_EQ(encoder.encode_rendered("hello").tokens.prompt_length, 0);
  EXPECT_TRUE(encoder.encode_rendered("\xff").error);
}

}  // namespace
}  // namespace charm::text
