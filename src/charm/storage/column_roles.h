#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/records/conversation.h"
#include "charm/storage/row_view.h"

// The closed table of types: which stored types fit each role of a column (docs/data-formats.md).
// Every other type is refused with kInput (without location) naming the column, the type and the
// next step; nothing is turned into a text that was none. Values must not be null.
namespace charm::storage {

/// UTF-8 of any text or binary type; of a JSON column the text of a JSON string, else its source.
std::string text_of(const Value& value, std::string_view column);

/// A text, a whole number of any type, a UUID in hexadecimal with hyphens, or bytes that are not
/// UTF-8 in hexadecimal.
std::string id_of(const Value& value, std::string_view column);

/// The number that a field of CSV reads as.
std::optional<double> number_in_field(std::string_view field);

/// Any integer, floating point or decimal type; finite.
double number_of(const Value& value, std::string_view column);

/// A whole number from 0 to 2^31 - 1 of any number type: pandas turns integers with gaps into
/// floating point.
std::int32_t count_of(const Value& value, std::string_view column);

bool flag_of(const Value& value, std::string_view column);

/// A list of texts; a single text is a list of one.
std::vector<std::string> texts_of(const Value& value, std::string_view column);

/// The values of a list, or the value itself.
std::vector<double> numbers_of(const Value& value, std::string_view column);

/// A list of messages in any list type, a struct of lists as `datasets` stores sequences, their
/// JSON (also in a text column, with a warning), or a text: one user turn.
Conversation conversation_of(const RowView& row, const Value& value, std::string_view column);

/// The text of a value that holds no message list, see conversation_of.
std::optional<std::string> plain_text_of(const RowView& row, const Value& value,
                                         std::string_view column);

/// Whether a text is the JSON source of a message list.
bool is_message_source(std::string_view text);

/// Lists, structs and JSON as JSON, in the order stored. Members that are null or of a type without
/// JSON (dates, images) are left out, except a message's role and content.
nlohmann::ordered_json json_of(const Value& value, std::string_view column = "");

/// Throws kInput: "column 'x': expected a number, found timestamp[us]; ...".
[[noreturn]] void refuse_type(const Value& value, std::string_view column,
                              std::string_view expected);

}  // namespace charm::storage
