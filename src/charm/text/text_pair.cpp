#include "charm/text/text_pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"

namespace charm::text {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

/// Special tokens before the first text, after it, and after the second.
struct Frame {
  Ids ids[3];
  std::string source;
};

[[noreturn]] void refuse(const std::string& file, const std::string& found) {
  throw Error(ErrorKind::kInput,
              "{}: {}, but this model reads prompt and response as a pair of texts: expected a "
              "post-processor such as [CLS] $A [SEP] $B:1 [SEP]:1 (TemplateProcessing or "
              "BertProcessing); take the tokenizer.json of the model's origin",
              file, found);
}

/// The pieces of a TemplateProcessing's `single` or `pair`. The tokenizer has checked their form.
Frame template_frame(const json& processor, const char* form, const std::string& file) {
  Frame frame;
  std::size_t num_texts = 0;
  const auto bad = [&] {
    refuse(file, fmt::format("the post-processor's '{}' is {}", form,
                             processor.value(form, json()).dump()));
  };
  for (const json& piece : processor.at(form)) {
    const bool is_text = piece.contains("Sequence");
    const json& value = piece.at(is_text ? "Sequence" : "SpecialToken");
    const std::string id = value.at("id");
    // The type of a text's tokens and of those that close it.
    const std::size_t type = num_texts < 2 ? 0 : 1;
    const bool is_in_order = !is_text || id == (num_texts == 0 ? "A" : "B");
    const std::int64_t expected =
        is_text ? static_cast<std::int64_t>(num_texts) : static_cast<std::int64_t>(type);
    if (!is_in_order || num_texts > 2 || value.at("type_id").get<std::int64_t>() != expected) bad();
    frame.source += frame.source.empty() ? "" : " ";
    frame.source += !is_text ? id : num_texts == 0 ? "{{ prompt }}" : "{{ response }}";
    if (is_text) {
      num_texts += 1;
      continue;
    }
    for (const json& token : processor.at("special_tokens").at(id).at("ids"))
      frame.ids[num_texts].push_back(token.get<std::int32_t>());
  }
  if (num_texts != (std::string_view(form) == "pair" ? 2U : 1U)) bad();
  return frame;
}

/// BertProcessing: ["[SEP]", 102] and ["[CLS]", 101].
Frame bert_frame(const json& processor, bool is_pair) {
  const auto id = [&](const char* name) { return processor.at(name).at(1).get<std::int32_t>(); };
  const auto text = [&](const char* name) { return processor.at(name).at(0).get<std::string>(); };
  Frame frame;
  frame.ids[0] = {id("cls")};
  frame.ids[1] = {id("sep")};
  if (is_pair) frame.ids[2] = {id("sep")};
  frame.source = fmt::format("{} {{{{ prompt }}}} {}", text("cls"), text("sep"));
  if (is_pair) frame.source += fmt::format(" {{{{ response }}}} {}", text("sep"));
  return frame;
}

/// The processor that adds tokens: itself, or the only such of a Sequence.
const json& adding_processor(const json& processor) {
  if (!processor.is_object() || processor.value("type", "") != "Sequence") return processor;
  for (const json& one : processor.at("processors")) {
    if (one.value("type", "") != "ByteLevel") return one;
  }
  return processor;
}

bool begins_with(const Ids& ids, const Ids& start) {
  return ids.size() >= start.size() && std::equal(start.begin(), start.end(), ids.begin());
}

bool ends_with(const Ids& ids, const Ids& end) {
  return ids.size() >= end.size() && std::equal(end.rbegin(), end.rend(), ids.rbegin());
}

void cut(Ids& ids, std::int64_t length, Truncation side) {
  const std::int64_t surplus = std::ssize(ids) - length;
  if (surplus <= 0) return;
  if (side == Truncation::kLeft) {
    ids.erase(ids.begin(), ids.begin() + surplus);
  } else {
    ids.resize(static_cast<std::size_t>(length));
  }
}

/// Lengths of two texts that fit into `room`: tokenizers 0.23, truncate_encodings, LongestFirst.
void cut_longest_first(Ids& a, Ids& b, std::int64_t room, Truncation side) {
  std::int64_t shorter = std::min(std::ssize(a), std::ssize(b));
  std::int64_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = room / 2;
    longer = room - shorter;
  }
  const bool a_is_longer = a.size() > b.size();
  cut(a, a_is_longer ? longer : shorter, side);
  cut(b, a_is_longer ? shorter : longer, side);
}

/// Tokens for texts; throws where there are none.
std::int64_t room_for_texts(std::int64_t max_tokens, std::size_t num_special) {
  const std::int64_t room = max_tokens - static_cast<std::int64_t>(num_special);
  if (room > 0) return room;
  throw Error(ErrorKind::kInput,
              "--max-tokens {} has no room beside the {} special tokens of a text", max_tokens,
              num_special);
}

void append(Ids& to, const Ids& ids) { to.insert(to.end(), ids.begin(), ids.end()); }

}  // namespace

TextPair TextPair::load(const fs::path& model_dir) {
  const std::string file = (model_dir / "tokenizer.json").string();
  const json tokenizer = parse_json(read_file(model_dir / "tokenizer.json"), file);
  const auto found = tokenizer.find("post_processor");
  if (found == tokenizer.end() || found->is_null()) refuse(file, "there is no post-processor");
  const json& processor = adding_processor(*found);
  const std::string type = processor.value("type", "");
  Frame single, pair;
  if (type == "TemplateProcessing") {
    single = template_frame(processor, "single", file);
    pair = template_frame(processor, "pair", file);
  } else if (type == "BertProcessing") {
    single = bert_frame(processor, /*is_pair=*/false);
    pair = bert_frame(processor, /*is_pair=*/true);
  } else {
    refuse(file, fmt::format("the post-processor is a {}", type));
  }
  if (pair.ids[0].empty()) refuse(file, "the post-processor puts no token in front");
  TextPair result;
  result.single_before_ = std::move(single.ids[0]);
  result.single_after_ = std::move(single.ids[1]);
  result.before_ = std::move(pair.ids[0]);
  result.between_ = std::move(pair.ids[1]);
  result.after_ = std::move(pair.ids[2]);
  result.source_ = std::move(pair.source);
  return result;
}

EncodedConversation TextPair::pair(Ids prompt_ids, Ids response_ids, std::int64_t max_tokens,
                                   Truncation truncation) const {
  const std::size_t num_special = before_.size() + between_.size() + after_.size();
  EncodedConversation result;
  result.full_length =
      static_cast<std::int64_t>(num_special + prompt_ids.size() + response_ids.size());
  result.truncated = result.full_length > max_tokens;
  if (result.truncated) {
    if (truncation == Truncation::kError) throw_too_long(result.full_length, max_tokens);
    cut_longest_first(prompt_ids, response_ids, room_for_texts(max_tokens, num_special),
                      truncation);
  }
  for (const Ids* part : {&before_, &std::as_const(prompt_ids), &between_})
    append(result.ids, *part);
  result.prompt_length = std::ssize(result.ids);
  append(result.ids, response_ids);
  append(result.ids, after_);
  return result;
}

EncodedConversation TextPair::single(Ids ids, std::int64_t max_tokens,
                                     Truncation truncation) const {
  if (begins_with(ids, single_before_))
    ids.erase(ids.begin(), ids.begin() + std::ssize(single_before_));
  if (ends_with(ids, single_after_)) ids.resize(ids.size() - single_after_.size());
  const std::size_t num_special = single_before_.size() + single_after_.size();
  EncodedConversation result;
  result.full_length = static_cast<std::int64_t>(num_special + ids.size());
  result.truncated = result.full_length > max_tokens;
  if (result.truncated) {
    if (truncation == Truncation::kError) throw_too_long(result.full_length, max_tokens);
    cut(ids, room_for_texts(max_tokens, num_special), truncation);
  }
  for (const Ids* part : {&single_before_, &std::as_const(ids), &single_after_})
    append(result.ids, *part);
  return result;
}

const std::string& pair_prompt(const Conversation& prompt) {
  const bool is_text =
      prompt.size() == 1 && prompt.front().role != "system" && prompt.tools.empty();
  if (is_text) return pair_response(prompt.front());
  throw Error(ErrorKind::kInput,
              "the prompt has {}{}, but the model has no chat template and reads a pair of texts, "
              "one prompt and one response: give a template that writes such conversations as one "
              "text (--template FILE), or score prompts of one turn",
              prompt.size() == 1 ? "one message" : fmt::format("{} messages", prompt.size()),
              !prompt.tools.empty()                                   ? " and tools"
              : prompt.size() == 1 && prompt.front().role == "system" ? " of the system"
                                                                      : "");
}

const std::string& pair_response(const Message& message) {
  if (message.members.empty()) return message.content;
  const json members = json::parse(message.members, nullptr, /*allow_exceptions=*/false);
  const auto content = members.find("content");
  // A list of text parts or an empty text; what else a message has cannot be told.
  if (members.size() == 1 && content != members.end() && !content->is_null())
    return message.content;
  throw Error(ErrorKind::kInput,
              "a message of the role {} has more than a text ({}), but the model has no chat "
              "template and reads a pair of texts: give one with --template FILE",
              message.role, message.members.substr(0, 60));
}

void throw_too_long(std::int64_t num_tokens, std::int64_t max_tokens) {
  throw Error(ErrorKind::kInput,
              "the conversation has {} tokens, more than --max-tokens {}; --truncation left or "
              "right would cut it",
              num_tokens, max_tokens);
}

}  // namespace charm::text
