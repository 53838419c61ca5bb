#include "charm/results/fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"

namespace charm::results {

using Json = nlohmann::ordered_json;

Fields::Fields(const Json& object, std::string where, std::string writer)
    : object_(&object), where_(std::move(where)), writer_(std::move(writer)) {}

bool Fields::is_null(const std::string& name) const {
  const auto found = object_->is_object() ? object_->find(name) : object_->end();
  return found == object_->end() || found->is_null();
}

const Json& Fields::member(const std::string& name) const {
  if (object_->is_object()) {
    const auto found = object_->find(name);
    if (found != object_->end()) return *found;
  }
  throw Error(ErrorKind::kInput, "{}: has no member '{}'; expected a file written by {}", where_,
              name, writer_);
}

void Fields::fail(const std::string& name, const char* expected) const {
  std::string found = member(name).dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr std::size_t kShown = 80;
  if (found.size() > kShown) found = fmt::format("of type {}", member(name).type_name());
  throw Error(ErrorKind::kInput, "{}: '{}' is {}; expected {}", where_, name, found, expected);
}

template <>
std::string Fields::at(const char* name) const {
  if (!member(name).is_string()) fail(name, "a string");
  return member(name).get<std::string>();
}

template <>
double Fields::at(const char* name) const {
  const Json& value = member(name);
  if (!value.is_number() || !std::isfinite(value.get<double>())) fail(name, "a finite number");
  return value.get<double>();
}

template <>
std::int64_t Fields::at(const char* name) const {
  if (!member(name).is_number_integer()) fail(name, "an integer");
  return member(name).get<std::int64_t>();
}

template <>
std::uint64_t Fields::at(const char* name) const {
  if (!member(name).is_number_unsigned()) fail(name, "an integer of 0 or more");
  return member(name).get<std::uint64_t>();
}

template <>
Interval Fields::at(const char* name) const {
  const Json& value = member(name);
  if (!value.is_array() || value.size() != 2 || !value[0].is_number() || !value[1].is_number())
    fail(name, "two numbers");
  return {.lo = value[0].get<double>(), .hi = value[1].get<double>()};
}

template <>
Fields Fields::at(const char* name) const {
  if (!member(name).is_object()) fail(name, "an object");
  return {member(name), fmt::format("{}, {}", where_, name), writer_};
}

template <>
std::vector<Fields> Fields::at(const char* name) const {
  const Json& list = member(name);
  if (!list.is_array()) fail(name, "a list");
  std::vector<Fields> entries;
  entries.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    entries.push_back({list[i], fmt::format("{}, {}[{}]", where_, name, i), writer_});
  }
  return entries;
}

template <>
std::vector<double> Fields::at(const char* name) const {
  const Json& list = member(name);
  const auto is_number = [](const Json& value) { return value.is_number(); };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_number))
    fail(name, "a list of numbers");
  return list.get<std::vector<double>>();
}

template <>
std::vector<std::vector<double>> Fields::at(const char* name) const {
  const Json& list = member(name);
  if (!list.is_array()) fail(name, "a list of lists of numbers");
  std::vector<std::vector<double>> rows;
  for (const Json& row : list) {
    const Json holder = {{"row", row}};
    rows.push_back(Fields(holder, where_, writer_).at<std::vector<double>>("row"));
  }
  return rows;
}

template <>
std::vector<std::string> Fields::at(const char* name) const {
  const Json& list = member(name);
  if (!list.is_array()) fail(name, "a list of strings");
  std::vector<std::string> entries;
  for (const Json& entry : list) {
    if (!entry.is_string()) fail(name, "a list of strings");
    entries.push_back(entry.get<std::string>());
  }
  return entries;
}

Estimate Fields::estimate_at(const std::string& name) const {
  return {.value = at<double>(name.c_str()), .ci95 = find<Interval>((name + "_ci95").c_str())};
}

std::optional<Estimate> Fields::find_estimate(const std::string& name) const {
  return is_null(name) ? std::nullopt : std::optional(estimate_at(name));
}

Estimate Fields::estimate_or_nan(const std::string& name) const {
  return find_estimate(name).value_or(
      Estimate{.value = std::numeric_limits<double>::quiet_NaN(), .ci95 = {}});
}

void Fields::check_version(int newest) const {
  if (find<std::int64_t>("version").value_or(1) > newest)
    fail("version", fmt::format("at most {}: update charm to read it", newest).c_str());
}

Json read_json(const std::filesystem::path& path, std::string_view writer) {
  auto json = parse_json<Json>(read_file(path), path.string());
  if (!json.is_object())
    throw Error(ErrorKind::kInput, "{}: expected a JSON object, as {} writes it", path.string(),
                writer);
  return json;
}

}  // namespace charm::results
