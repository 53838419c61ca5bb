#include "charm/storage/row_fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "charm/base/error.h"
#include "charm/storage/foreign_rows.h"

namespace charm::storage {
namespace {

struct Named {
  std::string_view column;
  Value value;
};

Named find_first(const RowView& row, std::span<const char* const> columns) {
  for (const char* column : columns) {
    const Value value = row[column];
    if (!value.is_null()) return {column, value};
  }
  return {};
}

[[noreturn]] void throw_missing(const RowView& row, std::string_view expected) {
  const std::string_view advice = advice_on_layout(row);
  throw Error(ErrorKind::kInput, "no {}; the row has the columns: {}{}{}", expected, row.names(),
              advice.empty() ? "" : "; ", advice);
}

std::string_view without_outer_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

Conversation instruction_prompt(const RowView& row, const Value& instruction) {
  Conversation prompt = conversation_of(row, instruction, "instruction");
  // Alpaca's rows split a prompt into instruction and input; both are needed.
  const std::optional<std::string> input = text_field(row, "input");
  if (input && !input->empty()) prompt.back().content += "\n\n" + *input;
  return prompt;
}

// What a chat template writes before a user's turn (ChatML, Llama-3, Llama-2 and Mistral, Gemma).
constexpr std::string_view kTemplateStarts[] = {
    "<|im_start|>", "<|begin_of_text|>", "<|start_header_id|>", "<s>[INST]",
    "[INST]",       "<start_of_turn>",   "<bos><start_of_turn>"};

// A text is one user turn, unless it has the turns of hh-rlhf or HelpSteer2. The reward model's
// template would be put around another one.
Conversation text_prompt(const RowView& row, Conversation prompt) {
  const std::string& text = prompt.front().content;
  if (auto transcript = prompt_transcript(text)) return *std::move(transcript);
  if (auto turns = helpsteer_turns(text)) return *std::move(turns);
  if (text.starts_with("[\"") && text.ends_with("\"]")) {
    row.warn_once("prompt",
                  "holds texts that are the JSON source of lists of texts, as "
                  "lmsys-arena-human-preference-55k writes the turns of a user; they are kept as "
                  "texts. Give the turns as messages");
  }
  for (const std::string_view start : kTemplateStarts) {
    if (!text.starts_with(start)) continue;
    row.warn_once("prompt",
                  fmt::format("holds texts that begin as a chat template renders them ('{}'); each "
                              "is taken as one user turn, and the model's own template is applied "
                              "to it. Give the messages, or the user's text alone",
                              start));
    break;
  }
  return prompt;
}

// From `prompt` or `instruction`; empty if the row has neither.
Conversation explicit_prompt(const RowView& row) {
  Conversation prompt;
  if (const Value value = row["prompt"]; !value.is_null()) {
    prompt = conversation_of(row, value, "prompt");
    const bool is_text = value.kind() != ValueKind::kList && value.kind() != ValueKind::kStruct &&
                         prompt.size() == 1;
    if (is_text) prompt = text_prompt(row, std::move(prompt));
  } else if (const Value instruction = row["instruction"]; !instruction.is_null()) {
    prompt = instruction_prompt(row, instruction);
  }
  if (ends_with_assistant(prompt)) {
    throw Error(ErrorKind::kInput,
                "the prompt ends with the assistant's turn; expected the user's");
  }
  return prompt;
}

// The text of a response column; empty if it has a message.
std::optional<std::string> response_text(const RowView& row, const Named& found) {
  if (found.value.kind() == ValueKind::kList || found.value.kind() == ValueKind::kStruct)
    return std::nullopt;
  // A text may itself be the JSON of messages; only TRL's `completion` and JSON have message lists.
  if (found.column == "completion" || found.value.kind() == ValueKind::kJson)
    return plain_text_of(row, found.value, found.column);
  std::string text = text_of(found.value, found.column);
  if (is_message_source(text)) {
    row.warn_once(found.column,
                  "holds texts that are the JSON source of messages; they are kept as texts");
  }
  return text;
}

// The assistant's turn of a response column, with the members of this program's own files.
Message response_message(const RowView& row, const Named& found) {
  const Value members = row["response_members"];
  std::optional<std::string> text = response_text(row, found);
  if (text && members.is_null()) return {"assistant", *std::move(text)};
  Conversation turns;
  if (text) {
    nlohmann::ordered_json turn = {{"role", "assistant"},
                                   {"members", text_of(members, "response_members")}};
    // Beside members an empty response is a content only if they say so.
    if (!text->empty()) turn["content"] = *std::move(text);
    turns = conversation_of(turn, found.column);
  } else {
    const bool are_texts = found.value.kind() == ValueKind::kList && found.value.size() > 0 &&
                           found.value[0].kind() == ValueKind::kText;
    if (are_texts) {
      throw Error(
          ErrorKind::kInput,
          "column '{}': expected one response, found a list of {} texts; give each a row of "
          "its own, those of one prompt numbered in a column 'sample'",
          found.column, found.value.size());
    }
    if (row.contains("custom_id")) {
      throw Error(ErrorKind::kInput, "column '{}' holds no response; {}", found.column,
                  advice_on_layout(row));
    }
    turns = conversation_of(row, found.value, found.column);
  }
  if (turns.size() != 1 || turns.front().role != "assistant") {
    throw Error(ErrorKind::kInput,
                "column '{}': expected a string or a single assistant message, found {} messages",
                found.column, turns.size());
  }
  return std::move(turns.front());
}

// Where the sides are whole conversations, they say what was asked.
void warn_of_another_prompt(const RowView& row, const Conversation& prompt,
                            const Conversation& chosen) {
  if (prompt.empty()) return;
  const auto is_asked = [&](const Message& turn) {
    return turn.role == "user" &&
           without_outer_space(turn.content) == without_outer_space(prompt.back().content);
  };
  const bool agrees = prompt.size() == 1
                          ? std::ranges::any_of(chosen, is_asked)
                          : prompt.size() <= chosen.size() &&
                                std::equal(prompt.begin(), prompt.end(), chosen.begin());
  if (agrees) return;
  row.warn_once(row.has("prompt")        ? "prompt"
                : row.has("instruction") ? "instruction"
                                         : "conversations",
                "differs from the conversations in 'chosen' and 'rejected' of a row; those count");
}

Conversation side_of(const RowView& row, std::string_view column, const Conversation& prompt) {
  const Value value = row[column];
  if (auto text = plain_text_of(row, value, column)) {
    if (prompt.empty() && !is_transcript(*text)) {
      throw_missing(row, fmt::format("prompt: column '{}' is a plain text, so expected a column "
                                     "prompt or instruction, or another one named with "
                                     "--prompt-column",
                                     column));
    }
    return finished_conversation(*std::move(text), column, prompt);
  }
  return finished_conversation(conversation_of(row, value, column), column, prompt);
}

}  // namespace

Conversation prompt_field(const RowView& row) {
  Conversation prompt = explicit_prompt(row);
  if (prompt.empty()) {
    if (const Named messages = find_first(row, kMessageColumns); !messages.value.is_null()) {
      prompt = conversation_of(row, messages.value, messages.column);
      if (ends_with_assistant(prompt)) prompt.pop_back();
      if (prompt.empty()) {
        throw Error(ErrorKind::kInput,
                    "column '{}': there is no prompt before the assistant's turn", messages.column);
      }
    }
  }
  if (!prompt.empty()) {
    add_context(row, prompt);
    return prompt;
  }
  if (row.has("chosen") && row.has("rejected")) return pair_fields(row).prompt;
  throw_missing(row,
                "prompt: expected a column prompt, instruction, messages, conversations or a pair "
                "chosen/rejected, or another one named with --prompt-column");
}

Exchange exchange_fields(const RowView& row) {
  const Named response = find_first(row, kResponseColumns);
  const Named messages = find_first(row, kMessageColumns);
  if (response.value.is_null()) {
    if (messages.value.is_null()) {
      throw_missing(row,
                    "response: expected a column response, output, completion, messages or "
                    "conversations, or another one named with --response-column");
    }
    Conversation prompt = conversation_of(row, messages.value, messages.column);
    if (prompt.size() < 2 || !ends_with_assistant(prompt)) {
      throw Error(ErrorKind::kInput,
                  "column '{}': expected the assistant's turn at the end, after a prompt",
                  messages.column);
    }
    Message last = std::move(prompt.back());
    prompt.pop_back();
    add_context(row, prompt);
    return {std::move(prompt), std::move(last)};
  }
  Exchange exchange{explicit_prompt(row), response_message(row, response)};
  if (exchange.prompt.empty()) {
    if (messages.value.is_null())
      throw_missing(row,
                    "prompt: expected a column prompt, instruction or messages, or another one "
                    "named with --prompt-column");
    exchange.prompt = conversation_of(row, messages.value, messages.column);
    if (ends_with_assistant(exchange.prompt)) {
      if (exchange.prompt.back().content != exchange.response.content ||
          exchange.prompt.size() < 2) {
        throw Error(ErrorKind::kInput,
                    "column '{}' ends with an assistant turn that is not the one in column '{}'",
                    messages.column, response.column);
      }
      exchange.response = std::move(exchange.prompt.back());
      exchange.prompt.pop_back();
    }
  }
  add_context(row, exchange.prompt);
  return exchange;
}

PairSides pair_fields(const RowView& row) {
  if (!row.has("chosen") || !row.has("rejected"))
    throw_missing(row, "pair: expected the columns chosen and rejected");
  Conversation prompt = explicit_prompt(row);
  if (prompt.empty()) {
    // LLaMA-Factory: the prompt in `conversations`, single messages in `chosen` and `rejected`.
    if (const Value turns = row["conversations"]; !turns.is_null())
      prompt = conversation_of(row, turns, "conversations");
  }
  PairSides sides{side_of(row, "chosen", prompt), side_of(row, "rejected", prompt), {}};
  warn_of_another_prompt(row, prompt, sides.chosen);
  add_context(row, sides.chosen);
  add_context(row, sides.rejected);
  sides.prompt = common_prompt(sides.chosen, sides.rejected);
  if (sides.prompt.empty())
    throw Error(ErrorKind::kInput, "columns 'chosen' and 'rejected' do not share a prompt");
  return sides;
}

std::optional<std::string> prompt_id_field(const RowView& row) {
  const Value value = row["prompt_id"];
  if (value.is_null()) return std::nullopt;
  std::string id = id_of(value, "prompt_id");
  if (id.empty()) throw Error(ErrorKind::kInput, "column 'prompt_id' is an empty text");
  return id;
}

std::optional<std::int32_t> sample_field(const RowView& row) { return count_field(row, "sample"); }

std::optional<std::string> policy_field(const RowView& row) {
  const Named found = find_first(row, kPolicyColumns);
  if (found.value.is_null()) return std::nullopt;
  std::string policy = text_of(found.value, found.column);
  if (policy.empty()) {
    throw Error(ErrorKind::kInput, "column '{}' is an empty text; expected a policy's name",
                found.column);
  }
  return policy;
}

ScoreField score_field(const RowView& row) {
  std::optional<std::string> error = text_field(row, "error");
  if (error && !error->empty()) return {0.0f, std::move(error)};
  const std::optional<double> value = number_field(row, "score");
  if (!value)
    throw_missing(row, "score: expected a number in column 'score', or a text in column 'error'");
  if (std::abs(*value) > std::numeric_limits<float>::max()) {
    throw Error(ErrorKind::kInput, "column 'score': {} is outside the range of float32", *value);
  }
  return {static_cast<float>(*value), std::nullopt};
}

std::optional<std::string> text_field(const RowView& row, std::string_view column) {
  const Value value = row[column];
  return value.is_null() ? std::nullopt : std::optional(text_of(value, column));
}

std::optional<std::int32_t> count_field(const RowView& row, std::string_view column) {
  const Value value = row[column];
  return value.is_null() ? std::nullopt : std::optional(count_of(value, column));
}

std::optional<double> number_field(const RowView& row, std::string_view column) {
  const Value value = row[column];
  return value.is_null() ? std::nullopt : std::optional(number_of(value, column));
}

std::optional<bool> flag_field(const RowView& row, std::string_view column) {
  const Value value = row[column];
  return value.is_null() ? std::nullopt : std::optional(flag_of(value, column));
}

}  // namespace charm::storage
