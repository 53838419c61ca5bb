#include "charm/storage/row_view.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/storage/column_roles.h"

namespace charm::storage {
namespace {

// Texts that may be empty. CSV writers write an empty text as they write none.
constexpr std::array kResponseTexts = {"response", "output", "completion", "chosen", "rejected"};

bool contains_name(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Value::Value(const nlohmann::ordered_json& json) : json_(&json) {
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      kind_ = ValueKind::kBool;
      number_.boolean = json.get<bool>();
      break;
    case nlohmann::json::value_t::number_integer:
      kind_ = ValueKind::kInt;
      number_.integer = json.get<std::int64_t>();
      break;
    case nlohmann::json::value_t::number_unsigned:
      kind_ = ValueKind::kUint;
      number_.natural = json.get<std::uint64_t>();
      break;
    case nlohmann::json::value_t::number_float:
      kind_ = ValueKind::kDouble;
      number_.real = json.get<double>();
      break;
    case nlohmann::json::value_t::string:
      kind_ = ValueKind::kText;
      text_ = json.get_ref<const std::string&>();
      break;
    case nlohmann::json::value_t::array:
      kind_ = ValueKind::kList;
      break;
    case nlohmann::json::value_t::object:
      kind_ = ValueKind::kStruct;
      break;
    default:
      break;  // null; parsed JSON has no other types
  }
}

std::string_view RowView::stored_name(std::string_view column) const {
  for (const auto& [name, stored] : stored_as) {
    if (name == column) return stored;
  }
  return column;
}

Value RowView::operator[](std::string_view name_asked_for) const {
  const std::string_view column = stored_name(name_asked_for);
  if (!repeated.empty() && contains_name(repeated, column)) {
    throw Error(
        ErrorKind::kInput,
        "two columns are named '{}'; rename or drop one, so that it is clear which is meant",
        column);
  }
  if (object != nullptr) {
    for (const auto& [name, value] : object->get_ref<const nlohmann::ordered_json::object_t&>()) {
      if (name == column) return Value(value);
    }
  }
  for (const Column& candidate : columns) {
    if (candidate.name != column) continue;
    const Value value(*candidate.array, index);
    if (is_csv) return field_of(value, column);
    if (candidate.class_names == nullptr || value.kind() != ValueKind::kInt) return value;
    // A ClassLabel is stored as the number of its name; -1 is a missing one.
    if (value.integer() == -1) return {};
    const auto label = static_cast<std::size_t>(value.integer());
    return label < candidate.class_names->size()
               ? Value(std::string_view((*candidate.class_names)[label]))
               : value;
  }
  for (const auto& [name, text] : partition) {
    if (name == column) return Value(std::string_view(text));
  }
  return {};
}

Value RowView::field_of(const Value& value, std::string_view column) const {
  const bool is_response =
      std::find(kResponseTexts.begin(), kResponseTexts.end(), column) != kResponseTexts.end();
  if (value.is_null() && (!is_response || has("error"))) return value;
  return Value(value.text(), ValueKind::kField);
}

bool RowView::contains(std::string_view name_asked_for) const {
  const std::string_view column = stored_name(name_asked_for);
  return object != nullptr ? object->contains(std::string(column))
                           : contains_name(file_columns, column);
}

std::vector<std::string> RowView::column_names() const {
  std::vector<std::string> names = file_columns;
  if (object != nullptr) {
    for (const auto& [name, value] : object->items()) names.push_back(name);
  }
  for (const auto& [name, text] : partition) names.push_back(name);
  return names;
}

std::string RowView::names() const {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name, bool is_null) {
    names.push_back(is_null ? name + " (null)" : name);
  };
  if (object != nullptr) {
    for (const auto& [name, value] : object->items()) add(name, value.is_null());
  }
  for (const std::string& name : file_columns) {
    const bool is_read = std::any_of(columns.begin(), columns.end(),
                                     [&](const Column& column) { return column.name == name; });
    add(name, is_read && !contains_name(repeated, name) && !has(name));
  }
  for (const auto& [name, text] : partition) add(name, false);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

nlohmann::ordered_json RowView::to_json() const {
  if (object != nullptr) return *object;
  auto row = nlohmann::ordered_json::object();
  for (const Column& column : columns) {
    const Value value = (*this)[column.name];
    if (value.kind() != ValueKind::kOther) row[column.name] = json_of(value, column.name);
  }
  return row;
}

void RowView::warn_once(std::string_view column, std::string_view warning) const {
  if (contains_name(warned_, column)) return;
  warned_.emplace_back(column);
  log::warning("{}: column '{}' {}", file, column, warning);
}

}  // namespace charm::storage
