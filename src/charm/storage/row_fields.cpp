#include "charm/storage/row_fields.h"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "charm/base/error.h"

namespace charm::storage {
namespace {

// The value of a column; nullptr if absent or null.
const nlohmann::ordered_json* find(const nlohmann::ordered_json& row, const char* column) {
  const auto found = row.find(column);
  return found == row.end() || found->is_null() ? nullptr : &*found;
}

struct Named {
  const char* column = nullptr;
  const nlohmann::ordered_json* value = nullptr;
};

Named find_first(const nlohmann::ordered_json& row, std::initializer_list<const char*> columns) {
  for (const char* column : columns) {
    if (const nlohmann::ordered_json* value = find(row, column)) return {column, value};
  }
  return {};
}

[[noreturn]] void throw_missing(const nlohmann::ordered_json& row, std::string_view expected) {
  std::string found;
  for (const auto& [name, value] : row.items()) {
    found +=
        fmt::format("{}{}{}", found.empty() ? "" : ", ", name, value.is_null() ? " (null)" : "");
  }
  throw Error(ErrorKind::kInput, "no {}; the row has the columns: {}", expected,
              found.empty() ? "none" : found);
}

[[noreturn]] void throw_type(const char* column, std::string_view expected,
                             const nlohmann::ordered_json& found) {
  throw Error(ErrorKind::kInput, "column '{}': expected {}, found {}", column, expected,
              found.type_name());
}

Conversation instruction_prompt(const nlohmann::ordered_json& row,
                                const nlohmann::ordered_json& instruction) {
  Conversation prompt = conversation_of(instruction, "instruction");
  const nlohmann::ordered_json* input = find(row, "input");
  // Alpaca's rows split a prompt into instruction and input; both are needed.
  if (input != nullptr && input->is_string() && !input->get_ref<const std::string&>().empty()) {
    prompt.back().content += "\n\n" + input->get<std::string>();
  }
  return prompt;
}

// From `prompt` or `instruction`; empty if the row has neither.
Conversation explicit_prompt(const nlohmann::ordered_json& row) {
  Conversation prompt;
  if (const nlohmann::ordered_json* value = find(row, "prompt")) {
    prompt = conversation_of(*value, "prompt");
  } else if (const nlohmann::ordered_json* instruction = find(row, "instruction")) {
    prompt = instruction_prompt(row, *instruction);
  }
  if (ends_with_assistant(prompt)) {
    throw Error(ErrorKind::kInput,
                "the prompt ends with the assistant's turn; expected the user's");
  }
  return prompt;
}

// The assistant's turn of a response column, with the members of this program's own files.
Message response_message(const nlohmann::ordered_json& row, const Named& found) {
  const nlohmann::ordered_json* members = find(row, "response_members");
  if (found.value->is_string() && members == nullptr)
    return {"assistant", found.value->get<std::string>()};
  Conversation turns;
  if (found.value->is_string()) {
    nlohmann::ordered_json turn = {{"role", "assistant"}, {"members", *members}};
    // Beside members an empty response is a content only if they say so.
    if (*found.value != "") turn["content"] = *found.value;
    turns = conversation_of(turn, found.column);
  } else {
    if (!found.value->is_array() && !found.value->is_object())
      throw_type(found.column, "a string", *found.value);
    turns = conversation_of(*found.value, found.column);
  }
  if (turns.size() != 1 || turns.front().role != "assistant") {
    throw Error(ErrorKind::kInput,
                "column '{}': expected a string or a single assistant message, found {} messages",
                found.column, turns.size());
  }
  return std::move(turns.front());
}

// `messages`, or ShareGPT's `conversations`.
Named find_messages(const nlohmann::ordered_json& row) {
  return find_first(row, {"messages", "conversations"});
}

}  // namespace

Conversation prompt_field(const nlohmann::ordered_json& row) {
  Conversation prompt = explicit_prompt(row);
  if (prompt.empty()) {
    if (const Named messages = find_messages(row); messages.value != nullptr) {
      prompt = conversation_of(*messages.value, messages.column);
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
  if (find(row, "chosen") != nullptr && find(row, "rejected") != nullptr)
    return pair_fields(row).prompt;
  throw_missing(row,
                "prompt: expected a column prompt, instruction, messages, conversations or a pair "
                "chosen/rejected");
}

Exchange exchange_fields(const nlohmann::ordered_json& row) {
  const Named response = find_first(row, {"response", "output", "completion"});
  const Named messages = find_messages(row);
  if (response.value == nullptr) {
    if (messages.value == nullptr) {
      throw_missing(row,
                    "response: expected a column response, output, completion, messages or "
                    "conversations");
    }
    Conversation prompt = conversation_of(*messages.value, messages.column);
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
    if (messages.value == nullptr)
      throw_missing(row, "prompt: expected a column prompt, instruction or messages");
    exchange.prompt = conversation_of(*messages.value, messages.column);
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

PairSides pair_fields(const nlohmann::ordered_json& row) {
  const nlohmann::ordered_json* chosen = find(row, "chosen");
  const nlohmann::ordered_json* rejected = find(row, "rejected");
  if (chosen == nullptr || rejected == nullptr)
    throw_missing(row, "pair: expected the columns chosen and rejected");
  Conversation prompt = explicit_prompt(row);
  if (prompt.empty()) {
    // LLaMA-Factory: the prompt in `conversations`, single messages in `chosen` and `rejected`.
    if (const nlohmann::ordered_json* turns = find(row, "conversations"))
      prompt = conversation_of(*turns, "conversations");
  }
  PairSides sides{finished_conversation(*chosen, "chosen", prompt),
                  finished_conversation(*rejected, "rejected", prompt),
                  {}};
  add_context(row, sides.chosen);
  add_context(row, sides.rejected);
  sides.prompt = common_prompt(sides.chosen, sides.rejected);
  if (sides.prompt.empty())
    throw Error(ErrorKind::kInput, "columns 'chosen' and 'rejected' do not share a prompt");
  return sides;
}

std::optional<std::string> prompt_id_field(const nlohmann::ordered_json& row) {
  const nlohmann::ordered_json* value = find(row, "prompt_id");
  if (value == nullptr) return std::nullopt;
  if (value->is_number_integer()) return value->dump();
  if (!value->is_string()) throw_type("prompt_id", "a string", *value);
  if (value->get_ref<const std::string&>().empty())
    throw Error(ErrorKind::kInput, "column 'prompt_id' is an empty text");
  return value->get<std::string>();
}

std::optional<std::int32_t> sample_field(const nlohmann::ordered_json& row) {
  return count_field(row, "sample");
}

std::optional<std::string> policy_field(const nlohmann::ordered_json& row) {
  const Named found = find_first(row, {"policy", "generator", "model"});
  if (found.value == nullptr) return std::nullopt;
  if (!found.value->is_string()) throw_type(found.column, "a string", *found.value);
  if (found.value->get_ref<const std::string&>().empty()) {
    throw Error(ErrorKind::kInput, "column '{}' is an empty text; expected a policy's name",
                found.column);
  }
  return found.value->get<std::string>();
}

ScoreField score_field(const nlohmann::ordered_json& row) {
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

std::optional<std::string> text_field(const nlohmann::ordered_json& row, const char* column) {
  const nlohmann::ordered_json* value = find(row, column);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) throw_type(column, "a string", *value);
  return value->get<std::string>();
}

std::optional<std::int32_t> count_field(const nlohmann::ordered_json& row, const char* column) {
  const nlohmann::ordered_json* value = find(row, column);
  if (value == nullptr) return std::nullopt;
  // pandas converts an integer column with missing values to floating point.
  const bool whole =
      value->is_number_float() && std::floor(value->get<double>()) == value->get<double>();
  if (!value->is_number_integer() && !whole) throw_type(column, "a whole number", *value);
  const double number = value->get<double>();
  if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorKind::kInput, "column '{}': {} is not between 0 and 2147483647", column,
                number);
  }
  return static_cast<std::int32_t>(number);
}

std::optional<double> number_field(const nlohmann::ordered_json& row, const char* column) {
  const nlohmann::ordered_json* value = find(row, column);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) throw_type(column, "a number", *value);
  const double number = value->get<double>();
  if (!std::isfinite(number))
    throw Error(ErrorKind::kInput, "column '{}': {} is not a finite number", column, number);
  return number;
}

std::optional<bool> flag_field(const nlohmann::ordered_json& row, const char* column) {
  const nlohmann::ordered_json* value = find(row, column);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) throw_type(column, "true or false", *value);
  return value->get<bool>();
}

}  // namespace charm::storage
