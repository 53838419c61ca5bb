#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/records/arena.h"
#include "charm/storage/row_reader.h"

// Rows of votes in any published form, and their common columns. Functions throw kInput without
// location: the reader adds file and row.
namespace charm::storage {

/// The next row whose columns can be read as JSON; empty at the end.
std::optional<nlohmann::ordered_json> next_vote(RowReader& reader);

/// Whether the column is there and not null.
bool is_present(const nlohmann::ordered_json& row, const char* column);

/// True, false, 1 or 0; the words in CSV.
bool tag_flag(const nlohmann::ordered_json& value, std::string_view name);

/// The model's name in a column.
std::string model_name_of(const nlohmann::ordered_json& row, const char* column);

/// Throws for a vote between a model and itself.
void check_distinct_models(const std::string& model_a, const std::string& model_b);

/// 1: model_a won, 0: model_b won, 0.5: a tie. Spellings of FastChat (clean_battle_data.py),
/// arena-human-preference-55k to -140k, the expert set, PPE and MT-bench's judgments.
double outcome_of(const nlohmann::ordered_json& row);

/// Style counts of a side ("a", "b") in FastChat's conv_metadata.
StyleCounts metadata_counts(const nlohmann::ordered_json& metadata, const std::string& side);

/// A list, or the JSON of one in a text (55k's columns, the expert set's conversations).
std::optional<nlohmann::ordered_json> json_list(const nlohmann::ordered_json& value);

/// The same, where its elements are turns: texts, null for an empty one, lists of parts. A prompt
/// such as "[1, 2]" is none.
std::optional<nlohmann::ordered_json> turn_list(const nlohmann::ordered_json& value);

/// A turn's text: a string, or the texts of a list of parts ([{"type": "text", "text": ...}]); null
/// is an empty one.
std::string content_text(const nlohmann::ordered_json& content);

/// The response column of a side: `response_a`, in PPE `response_1`; empty: none.
std::string response_column(const nlohmann::ordered_json& row, const std::string& side);

/// The responses of a side, one per turn: in 55k the column is the JSON of a list. A response may
/// be such a list by itself, so the prompt tells which of the two the file has.
std::vector<std::string> response_turns(const nlohmann::ordered_json& row,
                                        const std::string& column);

}  // namespace charm::storage
