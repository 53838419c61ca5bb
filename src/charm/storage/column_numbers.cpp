#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/storage/column_roles.h"

// The roles of column_roles.h that are numbers or flags.
namespace charm::storage {

using Json = nlohmann::ordered_json;

std::optional<double> number_in_field(std::string_view field) {
  double number = 0.0;
  const char* end = field.data() + field.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): from_chars takes the end, no NUL
  const auto [stop, error] = std::from_chars(field.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

double number_of(const Value& value, std::string_view column) {
  double number = 0.0;
  switch (value.kind()) {
    case ValueKind::kInt:
      return static_cast<double>(value.integer());
    case ValueKind::kUint:
      return static_cast<double>(value.natural());
    case ValueKind::kDouble:
      number = value.real();
      break;
    case ValueKind::kDecimal: {
      const std::string digits = value.decimal();
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
      break;
    }
    case ValueKind::kJson: {
      const Json json = json_of(value, column);
      if (json.is_number()) return number_of(Value(json), column);
      refuse_type(value, column, "a number");
    }
    case ValueKind::kField: {
      const std::optional<double> field = number_in_field(value.text());
      if (!field) {
        throw Error(ErrorKind::kInput, "column '{}': expected a number, found '{}'", column,
                    value.text());
      }
      number = *field;
      break;
    }
    default:
      refuse_type(value, column, "a number");
  }
  if (!std::isfinite(number))
    throw Error(ErrorKind::kInput, "column '{}': {} is not a finite number", column, number);
  return number;
}

std::int32_t count_of(const Value& value, std::string_view column) {
  switch (value.kind()) {
    case ValueKind::kInt:
    case ValueKind::kUint:
    case ValueKind::kDouble:
    case ValueKind::kDecimal:
    case ValueKind::kJson:
    case ValueKind::kField:
      break;
    default:
      refuse_type(value, column, "a whole number");
  }
  const double number = number_of(value, column);
  if (std::floor(number) != number) {
    throw Error(ErrorKind::kInput, "column '{}': expected a whole number, found {}", column,
                number);
  }
  if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorKind::kInput, "column '{}': {} is not between 0 and 2147483647", column,
                number);
  }
  return static_cast<std::int32_t>(number);
}

bool flag_of(const Value& value, std::string_view column) {
  if (value.kind() == ValueKind::kBool) return value.boolean();
  if (value.kind() == ValueKind::kJson && value.text() == "true") return true;
  if (value.kind() == ValueKind::kJson && value.text() == "false") return false;
  if (value.kind() == ValueKind::kField) {
    const std::string word = lower_ascii(std::string(value.text()));
    if (word == "true" || word == "false") return word == "true";
  }
  refuse_type(value, column, "true or false");
}

std::vector<double> numbers_of(const Value& value, std::string_view column) {
  if (value.kind() == ValueKind::kJson) {
    const Json json = json_of(value, column);
    if (json.is_array()) return numbers_of(Value(json), column);
  }
  if (value.kind() != ValueKind::kList) return {number_of(value, column)};
  std::vector<double> numbers;
  numbers.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) numbers.push_back(number_of(value[i], column));
  return numbers;
}

}  // namespace charm::storage
