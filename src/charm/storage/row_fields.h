#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "charm/records/conversation.h"

// The column spellings of the field, one function per thing that a row may say. Everything throws
// kInput without location: the reader knows the row.
namespace charm::storage {

/// The prompt of any kind of row: `prompt`, `instruction` (with a non-empty `input` below it),
/// `messages` without a closing assistant turn, or what `chosen` and `rejected` share.
Conversation prompt_field(const nlohmann::json& row);

struct Exchange {
  Conversation prompt;
  std::string response;
};

/// Prompt and response: a response column (`response`, `output`, `completion`) beside a prompt, or
/// `messages` whose last turn is the assistant's.
Exchange exchange_fields(const nlohmann::json& row);

/// `chosen` and `rejected` as whole conversations with their common prompt.
struct PairSides {
  Conversation chosen;
  Conversation rejected;
  Conversation prompt;
};
PairSides pair_fields(const nlohmann::json& row);

/// `prompt_id` where given (a text or a whole number).
std::optional<std::string> prompt_id_field(const nlohmann::json& row);

/// `sample` where given.
std::optional<std::int32_t> sample_field(const nlohmann::json& row);

/// `policy`, `generator` or `model` where given.
std::optional<std::string> policy_field(const nlohmann::json& row);

struct ScoreField {
  float score = 0.0f;
  std::optional<std::string> error;
};
/// `score`, finite, unless `error` says why there is none.
ScoreField score_field(const nlohmann::json& row);

// Optional members; absent and null are the same.
std::optional<std::string> text_field(const nlohmann::json& row, const char* column);
std::optional<std::int32_t> count_field(const nlohmann::json& row, const char* column);
std::optional<double> number_field(const nlohmann::json& row, const char* column);
std::optional<bool> flag_field(const nlohmann::json& row, const char* column);

}  // namespace charm::storage
