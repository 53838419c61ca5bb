#include "charm/text/chat_template.h"

#include "charm/base/hashing.h"
#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kDate = "2024-07-26";
const Conversation kHello{{"user", "hello"}};

std::string render(const std::string& source, const Conversation& conversation = kHello,
                   GenerationPrompt generation = GenerationPrompt::kNo) {
  return ChatTemplate::from_source(source, {{"bos_token", "<s>"}}, kDate, "t.jinja")
      .render(conversation, generation);
}

ChatTemplate load(const testing::TempFolder& folder,
                  const std::optional<fs::path>& file = std::nullopt) {
  return ChatTemplate::load(folder.path(), file, kDate);
}

TEST(ChatTemplate, WhatATemplateSees) {
  EXPECT_EQ(render("{{ bos_token }}{{ messages[0].role }}:{{ messages[0]['content'] }}\n"),
            "<s>user:hello");
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y') }}"), "26 Jul 2024");
  EXPECT_EQ(render("{{ tools is none }} {{ documents is none }} {{ eos_token is defined }}"),
            "True True False");
  EXPECT_EQ(render("{{ add_generation_prompt }}", kHello, GenerationPrompt::kYes), "True");
  EXPECT_EQ(render("<&> {{ messages[0].content }}", {{"user", "<&>\"'"}}), "<&> <&>\"'");
}

TEST(ChatTemplate, WhiteSpaceSettings) {
  EXPECT_EQ(render("  {% if true %}\n x\n  {% endif %}\ny\n"), " x\ny");
  EXPECT_EQ(render("a\r\nb\rc\r\n"), "a\nb\nc");
  EXPECT_EQ(render("{{ 'x' }}\n\n"), "x\n");
}

TEST(ChatTemplate, TextArrivesByteByByte) {
  const std::string text("\0\x01\x1f \xe2\x80\x8b\xef\xbb\xbf \xf0\x9f\xa6\x99 \\n \"q\" \r\n\x7f",
                         27);
  EXPECT_EQ(render("{{ messages[0].content }}", {{"user", text}}), text);
  // Python's strip takes U+001C..U+001F and leaves U+200B, U+FEFF and NUL.
  EXPECT_EQ(render("{{ messages[0].content | trim }}", {{"user", "\x1c\x1f \xe2\x80\x8b \x1d"}}),
            "\xe2\x80\x8b");
  EXPECT_EQ(render("{{ messages[0].content.strip() }}", {{"user", std::string("\0 ", 2)}}),
            std::string("\0", 1));
}

TEST(ChatTemplate, RefusalsAndMistakes) {
  expect_error(ErrorKind::kInput,
               AllOf(HasSubstr("t.jinja"), HasSubstr("refuses this conversation: no system here")),
               [] { render("{{ raise_exception('no system here') }}"); });
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"), [] { render("{% if %}"); });
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"), [] { render("{{ nothing.at.all }}"); });
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"), [] { render("{{ no_such_function() }}"); });
  expect_error(ErrorKind::kInput, HasSubstr("message 2 (assistant): invalid UTF-8 at byte 2"),
               [] { render("x", {{"user", "ok"}, {"assistant", "a\xff"}}); });
  expect_error(ErrorKind::kInput, HasSubstr("UTF-8"), [] { render("\xff"); });
  expect_error(ErrorKind::kInput, HasSubstr("UTF-8"),
               [] { ChatTemplate::from_source("x", {{"bos_token", "\xff"}}, kDate, "t"); });
  for (const char* date : {"", "26 Jul 2024", "2024-02-30", "2024-7-26"}) {
    expect_error(ErrorKind::kInput, HasSubstr("YYYY-MM-DD"),
                 [&] { ChatTemplate::from_source("x", {}, date, "t"); });
  }
}

TEST(ChatTemplate, DeepNestingIsAnErrorNotACrash) {
  std::string source;
  for (int i = 0; i < 5000; ++i) source += "{% if true %}";
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"), [&] { render(source); });
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"),
               [&] { render("{{ " + std::string(100000, '(') + " }}"); });
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"),
               [] { render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"); });
}

TEST(ChatTemplate, LoopsWithoutEndAreAnError) {
  expect_error(ErrorKind::kInput, HasSubstr("t.jinja"), [] {
    render(
        "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}"
        "{% endfor %}{% endfor %}");
  });
}

TEST(ChatTemplateLoad, TheDateIsADay) {
  const testing::TempFolder folder;
  folder.file("chat_template.jinja", "x");
  for (const char* date : {"yesterday", "2024-13-01", "2023-02-29", "2024-1-1", "2024-01-01 "}) {
    expect_error(ErrorKind::kUsage, HasSubstr("--template-date"),
                 [&] { ChatTemplate::load(folder.path(), std::nullopt, date); });
  }
}

TEST(ChatTemplate, KwargsAreVariables) {
  const auto with = [](const std::string& source, const std::string& kwargs) {
    return ChatTemplate::from_source(source, {{"bos_token", "<s>"}}, kDate, "t.jinja", kwargs)
        .render(kHello, GenerationPrompt::kNo);
  };
  EXPECT_EQ(with("{{ enable_thinking }} {{ bos_token }} {{ x.b }}",
                 R"({"enable_thinking": false, "bos_token": "<b>", "x": {"b": 1, "a": 2}})"),
            "False <b> 1");
  EXPECT_EQ(with("{{ documents | tojson }} {{ x | tojson }}",
                 R"({"documents": [{"title": "t"}], "x": {"z": 1, "a": null}})"),
            R"([{"title": "t"}] {"z": 1, "a": null})");
  expect_error(ErrorKind::kUsage, HasSubstr("--chat-template-kwargs: expected a JSON object"),
               [&] { with("x", "enable_thinking=false"); });
  expect_error(ErrorKind::kUsage, HasSubstr("'tools' is part of every conversation"),
               [&] { with("x", R"({"tools": []})"); });
}

TEST(ChatTemplate, ARowsKwargsReplaceThoseOfAll) {
  const auto chat_template =
      ChatTemplate::from_source("{{ think }} {{ style }} {{ messages[0].content }}", {}, kDate,
                                "t.jinja", R"({"think": true, "style": "brief"})");
  Conversation row = {{"user", "Hi"}};
  EXPECT_EQ(chat_template.render(row, GenerationPrompt::kNo), "True brief Hi");
  row.template_kwargs = R"({"think":false})";
  EXPECT_EQ(chat_template.render(row, GenerationPrompt::kYes), "False brief Hi");
  EXPECT_EQ(chat_template.render(row, Message{"assistant", "yes"}), "False brief Hi");
}

TEST(ChatTemplateLoad, ToolsHaveATemplateOfTheirOwn) {
  // As transformers 5.17's get_chat_template: `tool_use` where tools are passed, else `default`.
  const testing::TempFolder folder;
  Conversation tools = kHello;
  tools.tools = R"([{"name":"f"}])";
  folder.file("tokenizer_config.json",
              R"({"chat_template": [{"name": "rag", "template": "rag"},
                                    {"name": "default", "template": "plain {{ tools is none }}"},
                                    {"name": "tool_use", "template": "with {{ tools[0].name }}"}]})");
  const ChatTemplate named = load(folder);
  EXPECT_EQ(named.render(kHello, GenerationPrompt::kNo), "plain True");
  EXPECT_EQ(named.render(tools, GenerationPrompt::kNo), "with f");
  EXPECT_EQ(named.render(tools, Message{"assistant", "x"}), "with f");
  EXPECT_NE(named.sha256(), sha256_hex(named.source())) << "scores depend on both";
  folder.file("chat_template.jinja", "file {{ tools | tojson }}");
  EXPECT_EQ(load(folder).render(tools, GenerationPrompt::kNo), R"(file [{"name": "f"}])");
  fs::create_directory(folder / "additional_chat_templates");
  folder.file("additional_chat_templates/tool_use.jinja", "tool file");
  EXPECT_EQ(load(folder).render(tools, GenerationPrompt::kNo), "tool file");
  EXPECT_EQ(load(folder, folder.file("own.jinja", "own")).render(tools, GenerationPrompt::kNo),
            "own");
}

TEST(ChatTemplateLoad, OrderOfSources) {
  const testing::TempFolder folder;
  expect_error(ErrorKind::kInput, HasSubstr("--template"), [&] { load(folder); });
  folder.file("tokenizer_config.json", R"({"chat_template": null, "bos_token": "<s>"})");
  expect_error(ErrorKind::kInput, HasSubstr("--template"), [&] { load(folder); });
  folder.file("tokenizer_config.json",
              R"({"chat_template": "config", "bos_token": {"content": "<b>"}})");
  EXPECT_EQ(load(folder).source(), "config");
  EXPECT_EQ(load(folder).special_tokens().at("bos_token"), "<b>");
  folder.file("chat_template.jinja", "{{ bos_token }} jinja");
  EXPECT_EQ(load(folder).render(kHello, GenerationPrompt::kNo), "<b> jinja");
  EXPECT_EQ(load(folder).sha256(), sha256_hex("{{ bos_token }} jinja"));
  EXPECT_THAT(load(folder).name(), HasSubstr("chat_template.jinja"));
  folder.file("mine.jinja", "mine");
  EXPECT_EQ(load(folder, folder.path() / "mine.jinja").source(), "mine");
  expect_error(ErrorKind::kIo, HasSubstr("absent.jinja"),
               [&] { load(folder, folder.path() / "absent.jinja"); });
}

TEST(ChatTemplateLoad, NamedTemplates) {
  const testing::TempFolder folder;
  folder.file("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "t"},
                                                              {"name": "default", "template": "d"}]})");
  EXPECT_EQ(load(folder).source(), "d");
  folder.file("tokenizer_config.json", R"({"chat_template": {"tool_use": "t", "default": "e"}})");
  EXPECT_EQ(load(folder).source(), "e");
  folder.file("tokenizer_config.json", R"({"chat_template": {"tool_use": "t"}})");
  expect_error(ErrorKind::kInput, HasSubstr("tool_use"), [&] { load(folder); });
  folder.file("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "t"}]})");
  expect_error(ErrorKind::kInput, AllOf(HasSubstr("rag"), HasSubstr("--template")),
               [&] { load(folder); });
  for (const char* wrong :
       {R"({"chat_template": 3})", R"({"chat_template": [{"name": "default"}]})", "[]", "{"}) {
    folder.file("tokenizer_config.json", wrong);
    expect_error(ErrorKind::kInput, HasSubstr("tokenizer_config.json"), [&] { load(folder); });
  }
}

TEST(SpecialTokens, WhereTheyComeFrom) {
  const testing::TempFolder folder;
  EXPECT_TRUE(read_special_tokens(folder.path()).empty());
  folder.file("special_tokens_map.json",
              R"({"bos_token": {"content": "<map>"}, "eos_token": "</map>",
                                              "additional_special_tokens": ["<x>"]})");
  EXPECT_EQ(read_special_tokens(folder.path()),
            (SpecialTokens{{"bos_token", "<map>"}, {"eos_token", "</map>"}}));
  // New form: tokenizer_config.json takes precedence, null included; missing tokens come from the
  // map.
  folder.file("tokenizer_config.json",
              R"({"added_tokens_decoder": {}, "add_bos_token": true, "bos_token": null,
                                            "pad_token": "<pad>", "extra_special_tokens": {"image_token": "<i>"}})");
  EXPECT_EQ(
      read_special_tokens(folder.path()),
      (SpecialTokens{{"eos_token", "</map>"}, {"pad_token", "<pad>"}, {"image_token", "<i>"}}));
  // Old form: the map takes precedence.
  folder.file("tokenizer_config.json", R"({"bos_token": "<config>", "unk_token": "<unk>"})");
  EXPECT_EQ(
      read_special_tokens(folder.path()),
      (SpecialTokens{{"bos_token", "<map>"}, {"eos_token", "</map>"}, {"unk_token", "<unk>"}}));
}

}  // namespace
}  // namespace charm::text
