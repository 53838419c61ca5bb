#include "charm/text/tokenizer.h"

#include <charm_text.h>

#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Ids: 0..255 the bytes themselves, 256.. the 14 merges in order, then <s> 270, </s> 271, <pad>
// 272, <|im_start|> 273, <|im_end|> 274.
constexpr std::int32_t kHello = 259;
constexpr std::int32_t kBos = 270;
constexpr std::int32_t kEos = 271;

Tokenizer byte_bpe() { return Tokenizer::load(kTestData / "tokenizers/byte_bpe"); }
Tokenizer bos_bpe() { return Tokenizer::load(kTestData / "tokenizers/bos_bpe"); }

TEST(Tokenizer, MergesAndSpecialTokensInTheText) {
  const Tokenizer tokenizer = byte_bpe();
  EXPECT_THAT(tokenizer.encode("hello the", AddSpecialTokens::kYes), ElementsAre(kHello, 261));
  EXPECT_THAT(tokenizer.encode("<s>hello</s>", AddSpecialTokens::kNo),
              ElementsAre(kBos, kHello, kEos));
  EXPECT_TRUE(tokenizer.encode("", AddSpecialTokens::kNo).empty());
  EXPECT_EQ(tokenizer.vocab_size(), 275u);
}

TEST(Tokenizer, PostProcessorOnRequestOnly) {
  const Tokenizer tokenizer = bos_bpe();
  EXPECT_THAT(tokenizer.encode("hello", AddSpecialTokens::kYes), ElementsAre(kBos, kHello, kEos));
  EXPECT_THAT(tokenizer.encode("hello", AddSpecialTokens::kNo), ElementsAre(kHello));
}

TEST(Tokenizer, TruncationAndPaddingOfTheFileAreIgnored) {
  // Both fixtures request truncation to 4 tokens and padding to 16.
  const Tokenizer tokenizer = byte_bpe();
  EXPECT_EQ(tokenizer.encode("x", AddSpecialTokens::kYes).size(), 1u);
  EXPECT_EQ(tokenizer.encode("zzzzzzzzzzzzzzzzzzzz", AddSpecialTokens::kYes).size(), 20u);
}

TEST(Tokenizer, DecodeIsTheWayBack) {
  const Tokenizer tokenizer = byte_bpe();
  const std::string text = std::string("hello\0 the \xc3\xa9 \xf0\x9f\xa6\x99\r\n", 19);
  const auto ids = tokenizer.encode(text, AddSpecialTokens::kNo);
  EXPECT_EQ(tokenizer.decode(ids, /*skip_special_tokens=*/false), text);
  const std::vector<std::int32_t> with_bos{kBos, kHello};
  EXPECT_EQ(tokenizer.decode(with_bos, /*skip_special_tokens=*/true), "hello");
  EXPECT_EQ(tokenizer.decode(with_bos, /*skip_special_tokens=*/false), "<s>hello");
  EXPECT_EQ(tokenizer.decode({}, /*skip_special_tokens=*/false), "");
  for (const std::int32_t wrong : {-1, 275, INT32_MAX}) {
    const std::vector<std::int32_t> bad{kHello, wrong};
    expect_error(ErrorKind::kInput, HasSubstr(std::to_string(wrong)),
                 [&] { tokenizer.decode(bad, false); });
  }
}

TEST(Tokenizer, TokensAndIds) {
  const Tokenizer tokenizer = byte_bpe();
  EXPECT_EQ(tokenizer.token_to_id("<|im_end|>"), 274);
  EXPECT_EQ(tokenizer.token_to_id("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer.id_to_token(kHello), "hello");
  EXPECT_EQ(tokenizer.id_to_token(275), std::nullopt);
  EXPECT_EQ(tokenizer.id_to_token(-1), std::nullopt);
}

TEST(Tokenizer, InvalidUtf8IsAnErrorThatNamesTheByte) {
  const Tokenizer tokenizer = byte_bpe();
  expect_error(ErrorKind::kInput, HasSubstr("byte 3"),
               [&] { tokenizer.encode("abc\xff", AddSpecialTokens::kNo); });
  expect_error(ErrorKind::kInput, HasSubstr("UTF-8"),
               [&] { tokenizer.encode("\xed\xa0\x80", AddSpecialTokens::kNo); });
  expect_error(ErrorKind::kInput, HasSubstr("UTF-8"), [&] { tokenizer.token_to_id("\xc0\x80"); });
}

TEST(Tokenizer, BrokenFilesAreNamed) {
  const testing::TempFolder folder;
  for (const char* content : {"", "{", "[]", "{\"model\": 1}",
                              "{\"version\": \"1.0\", \"model\": {\"type\": \"New\"}}", "\xff"}) {
    folder.file("tokenizer.json", content);
    expect_error(ErrorKind::kInput, HasSubstr("tokenizer.json"),
                 [&] { Tokenizer::load(folder.path()); });
  }
}

TEST(Tokenizer, FoldersWithoutTokenizerJson) {
  const testing::TempFolder folder;
  expect_error(ErrorKind::kInput, HasSubstr("no tokenizer"),
               [&] { Tokenizer::load(folder.path()); });
  folder.file("vocab.json", "{}");
  expect_error(ErrorKind::kInput, HasSubstr("AutoTokenizer.from_pretrained"),
               [&] { Tokenizer::load(folder.path()); });
  folder.file("tokenizer.model", "sentencepiece");
  expect_error(ErrorKind::kInput,
               HasSubstr("tools/tokenizer_json.py '" + folder.path().string() + "'"),
               [&] { Tokenizer::load(folder.path()); });
  expect_error(ErrorKind::kIo, HasSubstr("no such folder"),
               [&] { Tokenizer::load(folder.path() / "nowhere"); });
}

// Ids as in transformers 5.17: an unknown token is appended to the vocabulary, one of the
// vocabulary becomes special.
TEST(Tokenizer, AddedTokensOfTheConfiguration) {
  const ModelFolder folder("byte_bpe");
  folder.file("tokenizer_config.json",
              R"({"bos_token": "<s>", "pad_token": "[PAD]", "sep_token": "hello",
      "added_tokens_decoder": {"300": {"content": "<late>", "lstrip": true, "special": true},
                               "270": {"content": "<s>", "special": true}, "9": {"content": "<early>"}}})");
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.vocab_size(), 278u);
  EXPECT_THAT(tokenizer.encode("<s>a  <late><early>[PAD]", AddSpecialTokens::kNo),
              ElementsAre(kBos, 'a', 276, 275, 277));
  EXPECT_THAT(tokenizer.encode("xhellox", AddSpecialTokens::kNo), ElementsAre('x', kHello, 'x'));

  folder.file("tokenizer_config.json", "{}");
  folder.file("added_tokens.json", R"({"<b>": 276, "<a>": 275})");
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("<b><a>", AddSpecialTokens::kNo),
              ElementsAre(276, 275));
  folder.file("added_tokens.json", R"({"<b>": "many"})");
  expect_error(ErrorKind::kInput, HasSubstr("'<b>': expected a token id"),
               [&] { Tokenizer::load(folder.path()); });
  folder.file("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "<a>"}}})");
  expect_error(ErrorKind::kInput, HasSubstr("expected a token id, found 'x'"),
               [&] { Tokenizer::load(folder.path()); });
}

// As tokenizers 0.23.3; 0.22.2 wrote "Hi<tool> there".
TEST(Tokenizer, ANormalisedAddedTokenKeepsItsSpaceWhenDecoded) {
  const ModelFolder folder("spm_bpe");
  folder.file("tokenizer_config.json",
              R"({"added_tokens_decoder": {"332": {"content": "<tool>", "normalized": true}}})");
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  const auto ids = tokenizer.encode("Hi <tool> there", AddSpecialTokens::kNo);
  EXPECT_THAT(ids, ElementsAre(259, 293, 268, 332, 259, 279, 324, 331));
  EXPECT_EQ(tokenizer.decode(ids, /*skip_special_tokens=*/false), "Hi <tool> there");
}

TEST(Tokenizer, SplitSpecialTokensMakesThemText) {
  const ModelFolder folder("byte_bpe");
  folder.file("tokenizer_config.json", R"({"split_special_tokens": true})");
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("<s>", AddSpecialTokens::kNo),
              ElementsAre('<', 's', '>'));
}

TEST(Bridge, StatusesAndOwnership) {
  ASSERT_EQ(charm_text_abi_version(), CHARM_TEXT_ABI_VERSION);
  charm_text_tokenizer* tokenizer = nullptr;
  EXPECT_EQ(charm_text_tokenizer_new("{", 1, "[]", 2, 0, &tokenizer), CHARM_TEXT_INVALID_INPUT);
  EXPECT_EQ(charm_text_tokenizer_new("\xff", 1, "[]", 2, 0, &tokenizer), CHARM_TEXT_INVALID_UTF8);
  EXPECT_EQ(charm_text_tokenizer_new(nullptr, 1, "[]", 2, 0, &tokenizer), CHARM_TEXT_NULL_ARGUMENT);
  EXPECT_EQ(tokenizer, nullptr);
  const std::string json = read_file(kTestData / "tokenizers/byte_bpe/tokenizer.json");
  EXPECT_EQ(charm_text_tokenizer_new(json.data(), json.size(), "[]", 2, 0, nullptr),
            CHARM_TEXT_NULL_ARGUMENT);
  EXPECT_EQ(charm_text_tokenizer_new(json.data(), json.size(), "[1]", 3, 0, &tokenizer),
            CHARM_TEXT_INVALID_INPUT);
  charm_text_ids ids{nullptr, 7};
  EXPECT_EQ(charm_text_tokenizer_encode(nullptr, "a", 1, 0, &ids), CHARM_TEXT_NULL_ARGUMENT);
  EXPECT_EQ(ids.length, 7u);  // untouched
  charm_text_string message{nullptr, 0};
  ASSERT_EQ(charm_text_last_error(&message), CHARM_TEXT_OK);
  EXPECT_EQ(std::string(message.data, message.length), "tokenizer is null");
  charm_text_string_free(message);
  EXPECT_EQ(charm_text_last_error(nullptr), CHARM_TEXT_NULL_ARGUMENT);
  charm_text_tokenizer_free(nullptr);
  charm_text_template_free(nullptr);
}

}  // namespace
}  // namespace charm::text
