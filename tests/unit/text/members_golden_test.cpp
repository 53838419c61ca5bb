// tests/data/golden/text_members.json: transformers' texts and ids of conversations with tools,
// tool calls, reasoning and text parts (tools/golden/make_members_golden.py).
#include <nlohmann/json.hpp>

#include "charm/base/hashing.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_view.h"
#include "charm/text/conversation_encoder.h"
#include "tests/support/expect_error.h"
#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

using OrderedJson = nlohmann::ordered_json;

Conversation conversation_of_row(const OrderedJson& row) {
  Conversation conversation = storage::conversation_of(row["messages"], "messages");
  storage::RowView view;
  view.object = &row;
  storage::add_context(view, conversation);
  return conversation;
}

fs::path template_path(const std::string& name) {
  const fs::path own = kTestData / "templates" / name;
  return fs::exists(own) ? own : kSharedData / "chat_templates" / name;
}

TEST(MembersGolden, TextsAndTokensOfTransformers) {
  const auto golden = OrderedJson::parse(read_file(kTestData / "golden/text_members.json"));
  const fs::path model = kTestData / "tokenizers/byte_bpe";
  std::size_t num_texts = 0, num_ids = 0;
  for (const auto& row : golden["cases"]) {
    const fs::path file = template_path(row["template"].get<std::string>());
    if (!fs::exists(file)) continue;  // of ../shared/data
    SCOPED_TRACE(row.dump());
    EncoderOptions options;
    options.template_file = file;
    options.template_date = golden["date"].get<std::string>();
    const ConversationEncoder encoder(model, options);
    Conversation conversation = conversation_of_row(golden["rows"][row["row"].get<std::size_t>()]);
    const bool generation = row["add_generation_prompt"].get<bool>();
    const auto render = [&] {
      return encoder.chat_template().render(
          conversation, generation ? GenerationPrompt::kYes : GenerationPrompt::kNo);
    };
    if (row.contains("refused")) {
      EXPECT_ERROR(kInput, "", render());
      continue;
    }
    ++num_texts;
    if (row.contains("sha256")) {
      EXPECT_EQ(sha256_hex(render()), row["sha256"].get<std::string>()) << render();
      continue;
    }
    EXPECT_EQ(render(), row["text"].get<std::string>());
    const auto ids = row["ids"].get<std::vector<std::int32_t>>();
    ++num_ids;
    if (generation) {
      EXPECT_EQ(encoder.encode_prompt(conversation), ids);
    } else if (conversation.size() > 1) {
      const Message last = std::move(conversation.back());
      conversation.pop_back();
      EXPECT_EQ(encoder.encode(conversation, last).ids, ids);
    }
  }
  EXPECT_GE(num_texts, 40u);
  EXPECT_GE(num_ids, 40u);
}

}  // namespace
}  // namespace charm::text
