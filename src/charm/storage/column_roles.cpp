#include "charm/storage/column_roles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/storage/row_fields.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

// From here on, neighbouring whole numbers are the same double.
constexpr double kFirstInexactWhole = 9007199254740992.0;

bool is_text(const Value& value) {
  return value.kind() == ValueKind::kText || value.kind() == ValueKind::kBytes ||
         value.kind() == ValueKind::kField;
}

// Columns of ratings and votes that are texts also if of digits only.
bool is_text_column(std::string_view column) {
  constexpr std::array kNames = {"name",       "model",          "model_name",     "competitors",
                                 "competitor", "Model",          "model_a",        "model_b",
                                 "response_a", "response_b",     "response_1",     "response_2",
                                 "prompt",     "conversation_a", "conversation_b", "prompt_id",
                                 "question",   "question_id",    "judge",          "winner"};
  return std::find(kNames.begin(), kNames.end(), column) != kNames.end();
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string checked_text(const Value& value, std::string_view column) {
  const std::string_view text = value.text();
  const auto offset = value.json() == nullptr ? find_invalid_utf8(text) : std::nullopt;
  if (offset) {
    throw Error(ErrorKind::kInput,
                "column '{}': invalid UTF-8 at byte {} of the text; store it as UTF-8", column,
                *offset + 1);
  }
  if (value.kind() == ValueKind::kBytes && text.ends_with('\0') &&
      value.type_name().starts_with("fixed_size_binary")) {
    throw Error(
        ErrorKind::kInput,
        "column '{}': the text is padded with NUL bytes to the width of its {}; store it as a "
        "string",
        column, value.type_name());
  }
  return std::string(text);
}

Json parse_cell(const Value& value, std::string_view column) {
  return parse_json<Json>(checked_text(value, column), fmt::format("column '{}'", column));
}

// A JSON column may hold JSON or, where the column is mixed, bare texts: only a JSON string is
// unquoted, so that a text such as `true`, `42` or `{...}` stays as it is.
std::string text_of_json(const Value& value, std::string_view column) {
  if (!trimmed(value.text()).starts_with('"')) return checked_text(value, column);
  return parse_cell(value, column).get<std::string>();
}

// A JSON column of objects has members, not texts: their source would be scored as words.
void refuse_json_object(const Value& value, std::string_view column) {
  const std::string_view source = trimmed(value.text());
  if (!source.starts_with('{') || nests_deeper_than(source, kMaxJsonDepth)) return;
  const Json json = Json::parse(source, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  throw Error(ErrorKind::kInput,
              "column '{}': expected a string, found a JSON object{}; store the text itself, "
              "without an object around it",
              column, json.empty() ? "" : fmt::format(" with the member '{}'", json.begin().key()));
}

std::string hexadecimal(std::string_view bytes, bool hyphens) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10)) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

// Why a type is refused and what to write instead.
std::string_view advice(const Value& value, std::string_view expected) {
  const std::string type = value.type_name();
  const auto is = [&](std::string_view name) { return type.find(name) != std::string::npos; };
  switch (value.kind()) {
    case ValueKind::kOther:
      if (is("union")) return "; a union has another type in each row: write a single type";
      if (is("map")) return "; a map has no fixed members: write a struct, or a list of structs";
      return "; dates, times and durations have no text or number of their own: write them as text";
    case ValueKind::kText:
    case ValueKind::kBytes:
      return expected.find("number") == std::string_view::npos
                 ? ""
                 : "; store the column as numbers, not as texts";
    case ValueKind::kBool:
    case ValueKind::kInt:
    case ValueKind::kUint:
    case ValueKind::kDouble:
    case ValueKind::kDecimal:
      return expected.find("string") == std::string_view::npos
                 ? ""
                 : "; a number has no text of its own: store the column as texts";
    default:
      return "";
  }
}

// A list of objects, or the struct of lists.
bool starts_as_messages(std::string_view source) {
  const std::string_view inner = source.empty() ? source : trimmed(source.substr(1));
  if (source.starts_with('[')) return inner.starts_with('{');
  return source.starts_with('{') &&
         (inner.starts_with("\"role\"") || inner.starts_with("\"content\""));
}

// The message list that a text is the JSON source of.
std::optional<Json> message_list_in(std::string_view text) {
  const std::string_view source = trimmed(text);
  if (!source.starts_with('[') || !starts_as_messages(source) || !source.ends_with(']') ||
      source.find("\"role\"") == std::string_view::npos || nests_deeper_than(source, kMaxJsonDepth))
    return std::nullopt;
  Json json = Json::parse(source, nullptr, /*allow_exceptions=*/false);
  const bool is_list =
      json.is_array() && std::all_of(json.begin(), json.end(), [](const Json& message) {
        return message.is_object() && message.size() >= 2 && message.contains("role") &&
               message["role"].is_string();
      });
  return is_list ? std::optional(std::move(json)) : std::nullopt;
}

void refuse_python_text(std::string_view text, std::string_view column) {
  const std::string_view source = trimmed(text);
  if (!source.ends_with("}]")) return;
  if (!source.starts_with("[{'role': '") && !source.starts_with("[{'content': ")) return;
  throw Error(
      ErrorKind::kInput,
      "column '{}': holds Python's text of a message list ([{{'role': ...}}]), which is not "
      "JSON; store the list itself, or json.dumps(messages)",
      column);
}

// JSON messages that a text or JSON value is the source of.
std::optional<Json> decoded_messages(const RowView& row, const Value& value,
                                     std::string_view column) {
  if (value.kind() == ValueKind::kJson && starts_as_messages(trimmed(value.text())))
    return parse_cell(value, column);
  if (!is_text(value)) return std::nullopt;
  std::optional<Json> messages = message_list_in(value.text());
  if (messages) {
    row.warn_once(column,
                  "is a text column that holds the JSON source of message lists; they are read as "
                  "messages. Store the lists themselves to avoid this guess");
  } else {
    refuse_python_text(value.text(), column);
  }
  return messages;
}

// A message's text members in a JSON column: a JSON string is unquoted, a list of parts parsed,
// anything else is a text as it is.
Json text_member(const Value& value, std::string_view column) {
  const std::string_view source = trimmed(value.text());
  if (source.starts_with('[') && !nests_deeper_than(source, kMaxJsonDepth)) {
    Json json = Json::parse(source, nullptr, /*allow_exceptions=*/false);
    const bool is_parts = json.is_array() && !json.empty() &&
                          std::all_of(json.begin(), json.end(), [](const Json& part) {
                            return part.is_object() && part.contains("type");
                          });
    if (is_parts) return json;
  }
  return text_of_json(value, column);
}

bool is_text_member(std::string_view name) {
  constexpr std::array kNames = {"role", "content",           "text",         "type",
                                 "name", "reasoning_content", "tool_call_id", "id"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Json json_at(const Value& value, std::string_view column, int depth);

// A struct type holds the members of all its values: null means absent, except for a message's own
// role and content. `depth` is the number of structs around it.
Json struct_json(const Value& value, std::string_view column, int depth) {
  Json object = Json::object();
  for (std::size_t k = 0; k < value.size(); ++k) {
    const Value member = value[k];
    const std::string name(value.member_name(k));
    const bool is_needed = depth == 0 && (name == "role" || name == "content");
    if (!is_needed && member.is_null()) continue;
    if (!is_needed && member.kind() == ValueKind::kOther) continue;
    if (!is_needed && member.kind() == ValueKind::kBytes && find_invalid_utf8(member.text()))
      continue;
    if (member.kind() == ValueKind::kJson && is_text_member(name)) {
      object[name] = text_member(member, column);
    } else {
      object[name] = json_at(member, column, depth + 1);
    }
  }
  return object;
}

Json json_at(const Value& value, std::string_view column, int depth) {
  if (value.json() != nullptr) return *value.json();
  switch (value.kind()) {
    case ValueKind::kNull:
      return nullptr;
    case ValueKind::kBool:
      return value.boolean();
    case ValueKind::kInt:
      return value.integer();
    case ValueKind::kUint:
      return value.natural();
    case ValueKind::kDouble:
      return value.real();
    case ValueKind::kDecimal:
      return number_of(value, column);
    case ValueKind::kUuid:
      return id_of(value, column);
    case ValueKind::kText:
    case ValueKind::kBytes:
      return checked_text(value, column);
    case ValueKind::kField: {
      const std::optional<double> number =
          is_text_column(column) ? std::nullopt : number_in_field(value.text());
      return number ? Json(*number) : Json(value.text());
    }
    case ValueKind::kJson:
      return parse_cell(value, column);
    case ValueKind::kList: {
      Json list = Json::array();
      for (std::size_t i = 0; i < value.size(); ++i)
        list.push_back(json_at(value[i], column, depth));
      return list;
    }
    case ValueKind::kStruct:
      return struct_json(value, column, depth);
    case ValueKind::kOther:
      break;
  }
  refuse_type(value, column, "a string, a number, a list or a struct");
}

// Messages stored as list<struct<role, content>>, whose other members are all null; empty if they
// need the way through JSON.
Conversation plain_messages(const Value& list, std::string_view column) {
  Conversation conversation;
  conversation.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Value message = list[i];
    if (message.kind() != ValueKind::kStruct) return {};
    Value role, content;
    for (std::size_t k = 0; k < message.size(); ++k) {
      const Value member = message[k];
      const std::string_view name = message.member_name(k);
      if (name == "role" && is_text(member)) {
        role = member;
      } else if (name == "content" && is_text(member)) {
        content = member;
      } else if (!member.is_null()) {
        return {};
      }
    }
    if (role.is_null() || content.is_null()) return {};
    Message& turn = conversation.emplace_back();
    turn.role = checked_text(role, column);
    turn.content = checked_text(content, column);
  }
  return conversation;
}

}  // namespace

void refuse_type(const Value& value, std::string_view column, std::string_view expected) {
  throw Error(ErrorKind::kInput, "column '{}': expected {}, found {}{}", column, expected,
              value.type_name(), advice(value, expected));
}

std::string text_of(const Value& value, std::string_view column) {
  if (is_text(value)) return checked_text(value, column);
  if (value.kind() == ValueKind::kJson) {
    refuse_json_object(value, column);
    return text_of_json(value, column);
  }
  refuse_type(value, column, "a string");
}

std::string id_of(const Value& value, std::string_view column) {
  constexpr const char* kExpected = "a string, a whole number or a UUID";
  switch (value.kind()) {
    case ValueKind::kText:
    case ValueKind::kField:
      return checked_text(value, column);
    case ValueKind::kBytes: {
      const std::string_view bytes = value.text();
      if (find_invalid_utf8(bytes)) return hexadecimal(bytes, /*hyphens=*/false);
      const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
      if (std::any_of(bytes.begin(), bytes.end(), is_control)) {
        throw Error(
            ErrorKind::kInput,
            "column '{}': {} holds neither text nor a UUID, perhaps an integer of more than "
            "64 bits; store ids as texts",
            column, value.type_name());
      }
      return std::string(bytes);
    }
    case ValueKind::kUuid:
      return hexadecimal(value.text(), /*hyphens=*/true);
    case ValueKind::kInt:
      return std::to_string(value.integer());
    case ValueKind::kUint:
      return std::to_string(value.natural());
    case ValueKind::kDouble:
      if (std::floor(value.real()) != value.real() ||
          std::abs(value.real()) >= kFirstInexactWhole) {
        throw Error(
            ErrorKind::kInput,
            "column '{}': {} is not a whole number that floating point holds exactly; store "
            "ids as texts or integers",
            column, value.real());
      }
      return fmt::format("{:.0f}", value.real() == 0.0 ? 0.0 : value.real());
    case ValueKind::kDecimal: {
      const std::string digits = value.decimal();
      const std::size_t point = std::min(digits.find('.'), digits.size());
      const bool is_whole =
          digits.find_first_not_of('0', std::min(point + 1, digits.size())) == std::string::npos &&
          digits.find('E') == std::string::npos;
      if (!is_whole) {
        throw Error(ErrorKind::kInput, "column '{}': {} is not a whole number; store ids as texts",
                    column, digits);
      }
      return digits.substr(0, point);
    }
    case ValueKind::kJson: {
      const Json json = parse_cell(value, column);
      if (json.is_string() || json.is_number()) return id_of(Value(json), column);
      refuse_type(value, column, kExpected);
    }
    default:
      refuse_type(value, column, kExpected);
  }
}

std::vector<std::string> texts_of(const Value& value, std::string_view column) {
  if (value.kind() == ValueKind::kJson && trimmed(value.text()).starts_with('[')) {
    const Json json = parse_cell(value, column);
    return texts_of(Value(json), column);
  }
  if (value.kind() != ValueKind::kList) return {text_of(value, column)};
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) texts.push_back(text_of(value[i], column));
  return texts;
}

nlohmann::ordered_json json_of(const Value& value, std::string_view column) {
  return json_at(value, column, /*depth=*/0);
}

bool is_message_source(std::string_view text) { return message_list_in(text).has_value(); }

namespace {

// Warns of a role that templates rarely know: they may leave its message out.
void check_roles(const RowView& row, const Conversation& conversation, std::string_view column) {
  constexpr std::array kRoles = {"system", "developer", "user",    "assistant",
                                 "tool",   "function",  "ipython", "observation"};
  for (const Message& message : conversation) {
    if (std::find(kRoles.begin(), kRoles.end(), message.role) != kRoles.end()) continue;
    row.warn_once(column, fmt::format("has messages of the role '{}', which few chat templates "
                                      "know; charm inspect --sample shows what they make of it",
                                      message.role));
  }
}

Conversation messages_of(const RowView& row, const Value& value, std::string_view column) {
  if (value.json() != nullptr && value.kind() != ValueKind::kText)
    return conversation_of(*value.json(), column);
  if (value.kind() == ValueKind::kList) {
    Conversation conversation = plain_messages(value, column);
    return conversation.empty() ? conversation_of(json_of(value, column), column) : conversation;
  }
  if (value.kind() == ValueKind::kStruct) return conversation_of(json_of(value, column), column);
  if (const auto messages = decoded_messages(row, value, column))
    return conversation_of(*messages, column);
  if (!is_text(value) && value.kind() != ValueKind::kJson)
    refuse_type(value, column, "a string or a list of messages");
  Conversation conversation(1);
  conversation[0].role = "user";
  conversation[0].content = text_of(value, column);
  return conversation;
}

}  // namespace

Conversation conversation_of(const RowView& row, const Value& value, std::string_view column) {
  Conversation conversation = messages_of(row, value, column);
  check_roles(row, conversation, column);
  return conversation;
}

std::optional<std::string> plain_text_of(const RowView& row, const Value& value,
                                         std::string_view column) {
  if (!is_text(value) && value.kind() != ValueKind::kJson) return std::nullopt;
  if (decoded_messages(row, value, column)) return std::nullopt;
  return text_of(value, column);
}

}  // namespace charm::storage
