#include "charm/engine/config_reader.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"

namespace charm::engine {

using nlohmann::json;

ConfigReader::ConfigReader(const json& object, std::string file, std::string scope)
    : object_(&object), file_(std::move(file)), scope_(std::move(scope)) {}

const json* ConfigReader::find(std::string_view key) const {
  const auto found = object_->find(std::string(key));
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::present(std::string_view key) const { return find(key) != nullptr; }

bool ConfigReader::mentions(std::string_view key) const {
  return object_->contains(std::string(key));
}

bool ConfigReader::is_text(std::string_view key) const {
  const json* value = find(key);
  return value != nullptr && value->is_string();
}

void ConfigReader::fail(std::string_view key, std::string_view why,
                        std::string_view expected) const {
  const auto value = object_->find(std::string(key));
  std::string found = value == object_->end() ? "missing" : value->dump();
  if (found.size() > 80) found = found.substr(0, 77) + "...";
  throw Error(ErrorKind::kInput, "{}: {}{} is {}, expected {}{}{}", file_, scope_, key, found,
              expected, why.empty() ? "" : ": ", why);
}

void ConfigReader::refuse_if_set(std::string_view key, std::string_view why) const {
  const json* value = find(key);
  if (value == nullptr || *value == json(false) || *value == json(0) || *value == json::array())
    return;
  fail(key, why, "nothing");
}

std::int64_t ConfigReader::integer(std::string_view key, std::int64_t lowest,
                                   std::int64_t highest) const {
  const json* value = find(key);
  const bool fits = value != nullptr && value->is_number_integer() &&
                    !(value->is_number_unsigned() &&
                      value->get<std::uint64_t>() > static_cast<std::uint64_t>(highest)) &&
                    value->get<std::int64_t>() >= lowest && value->get<std::int64_t>() <= highest;
  if (!fits) fail(key, "", fmt::format("an integer in {} .. {}", lowest, highest));
  return value->get<std::int64_t>();
}

std::int64_t ConfigReader::integer_or(std::string_view key, std::int64_t fallback,
                                      std::int64_t lowest, std::int64_t highest) const {
  return present(key) ? integer(key, lowest, highest) : fallback;
}

namespace {

bool is_positive(const json& value) {
  return value.is_number() && value.get<double>() > 0.0 && std::isfinite(value.get<double>());
}

}  // namespace

double ConfigReader::number(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr || !value->is_number()) fail(key, "", "a number");
  return value->get<double>();
}

double ConfigReader::positive(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr || !is_positive(*value)) fail(key, "", "a positive number");
  return value->get<double>();
}

std::vector<double> ConfigReader::positives(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr || !value->is_array() ||
      !std::all_of(value->begin(), value->end(), is_positive)) {
    fail(key, "", "a list of positive numbers");
  }
  return value->get<std::vector<double>>();
}

double ConfigReader::positive_or(std::string_view key, double fallback) const {
  return present(key) ? positive(key) : fallback;
}

bool ConfigReader::boolean(std::string_view key, bool fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail(key, "", "true or false");
  return value->get<bool>();
}

std::string ConfigReader::text_or(std::string_view key, std::string_view fallback) const {
  const json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (!value->is_string()) fail(key, "", "a string");
  return value->get<std::string>();
}

std::vector<std::int32_t> ConfigReader::token_ids(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return {};
  std::vector<std::int32_t> ids;
  const json list = value->is_array() ? *value : json::array({*value});
  for (const json& id : list) {
    // -1 is written by configs that mean "none".
    if (!id.is_number_integer() || id.get<std::int64_t>() < -1 ||
        id.get<std::int64_t>() > kMaxExtent) {
      fail(key, "", "a token id or a list of token ids");
    }
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

std::vector<std::int64_t> ConfigReader::integers(std::string_view key, std::int64_t lowest) const {
  const json* value = find(key);
  if (value == nullptr) return {};
  const auto fits = [&](const json& item) {
    return item.is_number_integer() && item.get<std::int64_t>() >= lowest &&
           item.get<std::int64_t>() <= kMaxExtent;
  };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), fits))
    fail(key, "", fmt::format("a list of integers from {} up", lowest));
  return value->get<std::vector<std::int64_t>>();
}

std::vector<std::string> ConfigReader::texts(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) fail(key, "", "a list of strings");
  std::vector<std::string> texts;
  for (const json& text : *value) {
    if (!text.is_string()) fail(key, "", "a list of strings");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::int64_t ConfigReader::size_of(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return -1;
  if (!value->is_structured()) fail(key, "", "an object or a list");
  return static_cast<std::int64_t>(value->size());
}

ConfigReader ConfigReader::object(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr || !value->is_object()) fail(key, "", "an object");
  return ConfigReader(*value, file_, scope_ + std::string(key) + ".");
}

std::vector<std::string> ConfigReader::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object_->items()) keys.push_back(key);
  return keys;
}

}  // namespace charm::engine
