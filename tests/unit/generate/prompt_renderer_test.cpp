#include <gtest/gtest.h>

#include "charm/generate/server_protocol.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::generate {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if "
    "add_generation_prompt %}<assistant>{% endif %}";

/// A word-level tokenizer; with `adds_bos` it has a post-processor.
std::string tokenizer_json(bool adds_bos) {
  const std::string processor =
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],)"
      R"("pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],)"
      R"("special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}})";
  return R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":0,"content":"<s>","single_word":false,)"
         R"("lstrip":false,"rstrip":false,"normalized":false,"special":true}],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},)"
         R"("post_processor":)" +
         (adds_bos ? processor : std::string("null")) +
         R"(,"decoder":null,"model":{"type":"WordLevel","vocab":{"<s>":0,"a":1,"[UNK]":2},"unk_token":"[UNK]"}})";
}

TEST(PromptRenderer, StripsBosIfTheTokenizerAddsIt) {
  const TempFolder folder;
  for (const bool adds_bos : {true, false}) {
    folder.file("tokenizer.json", tokenizer_json(adds_bos));
    folder.file("tokenizer_config.json", R"({"bos_token":"<s>"})");
    folder.file("chat_template.jinja", kTemplate);
    ServerOptions options;
    options.tokenizer_dir = folder.path();
    EXPECT_EQ(PromptRenderer(options).render({{"user", "<s> a"}}),
              std::string(adds_bos ? "" : "<s>") + "<user><s> a<assistant>");
  }
}

TEST(PromptRenderer, ATemplateFileAloneHasNoSpecialTokens) {
  const TempFolder folder;
  ServerOptions options;
  options.template_file = folder.file("t.jinja", kTemplate);
  EXPECT_EQ(PromptRenderer(options).render({{"system", "s"}, {"user", "a"}}),
            "<system>s<user>a<assistant>");
}

TEST(PromptRenderer, NeedsATemplate) {
  EXPECT_EQ(error_of([] { PromptRenderer{ServerOptions{}}; }).kind(), ErrorKind::kUsage);
  ServerOptions options;
  options.template_file = "/nowhere.jinja";
  EXPECT_EQ(error_of([&] { PromptRenderer{options}; }).kind(), ErrorKind::kIo);
}

}  // namespace
}  // namespace charm::generate
