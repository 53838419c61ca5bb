#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/results/estimate.h"

namespace charm::results {

/// The members of one JSON object of a result file. Errors are of kind kInput and name the file,
/// the place in it, the member, what was expected and what was found. Keeps a pointer to the
/// object, which must outlive it.
class Fields {
 public:
  /// @param where   the file, and the place in it: "calibration.json, policies[1]"
  /// @param writer  the command that writes such a file
  Fields(const nlohmann::ordered_json& object, std::string where, std::string writer);

  const std::string& where() const { return where_; }
  const nlohmann::ordered_json& json() const { return *object_; }

  /// The member as std::string, double (finite), std::int64_t, std::uint64_t, Interval, Fields (an
  /// object), std::vector<double>, a list of these, std::vector<std::string> or std::vector<Fields>
  /// (a list of objects). Throws where it is missing or of another type.
  template <typename T>
  T at(const char* name) const;

  /// Empty where the member is missing or null.
  template <typename T>
  std::optional<T> find(const char* name) const {
    return is_null(name) ? std::nullopt : std::optional<T>(at<T>(name));
  }

  /// `fallback` where the member is missing or null.
  template <typename T>
  T find_or(const char* name, T fallback = {}) const {
    return is_null(name) ? std::move(fallback) : at<T>(name);
  }

  /// A word that `parse` knows; `fallback` where the member is missing.
  template <typename T>
  T word_or(const char* name, T (*parse)(std::string_view), T fallback) const;

  /// `name` with `name_ci95`.
  Estimate estimate_at(const std::string& name) const;
  std::optional<Estimate> find_estimate(const std::string& name) const;
  /// NaN where the member is missing or null.
  Estimate estimate_or_nan(const std::string& name) const;

  /// The entries of a list of objects, or an object, as `read` makes them of their fields; empty
  /// where the member is missing or null.
  template <typename Read>
  auto list(const char* name, const Read& read) const {
    std::vector<std::invoke_result_t<Read, const Fields&>> entries;
    for (const Fields& entry : find_or<std::vector<Fields>>(name)) entries.push_back(read(entry));
    return entries;
  }
  template <typename Read>
  auto object(const char* name, const Read& read) const {
    const auto found = find<Fields>(name);
    return found ? std::optional(read(*found)) : std::nullopt;
  }

  /// Throws for a format of a later program; files without a version are of version 1.
  void check_version(int newest) const;

 private:
  bool is_null(const std::string& name) const;
  const nlohmann::ordered_json& member(const std::string& name) const;
  [[noreturn]] void fail(const std::string& name, const char* expected) const;

  const nlohmann::ordered_json* object_;
  std::string where_;
  std::string writer_;
};

template <>
std::string Fields::at(const char* name) const;
template <>
double Fields::at(const char* name) const;
template <>
std::int64_t Fields::at(const char* name) const;
template <>
std::uint64_t Fields::at(const char* name) const;
template <>
Interval Fields::at(const char* name) const;
template <>
Fields Fields::at(const char* name) const;
template <>
std::vector<std::string> Fields::at(const char* name) const;
template <>
std::vector<double> Fields::at(const char* name) const;
template <>
std::vector<std::vector<double>> Fields::at(const char* name) const;
template <>
std::vector<Fields> Fields::at(const char* name) const;

template <typename T>
T Fields::word_or(const char* name, T (*parse)(std::string_view), T fallback) const {
  if (is_null(name)) return fallback;
  try {
    return parse(at<std::string>(name));
  } catch (const Error& error) {
    throw Error(ErrorKind::kInput, "{}: {}: {}", where_, name, error.message());
  }
}

template <typename T>
nlohmann::ordered_json json_or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

template <typename T, typename Write>
nlohmann::ordered_json list_json(const std::vector<T>& list, const Write& write) {
  auto json = nlohmann::ordered_json::array();
  for (const T& entry : list) json.push_back(write(entry));
  return json;
}

/// Reads and parses a file. Throws kIo, and kInput, naming the command that writes such files, for
/// one that is no JSON object.
nlohmann::ordered_json read_json(const std::filesystem::path& path, std::string_view writer);

}  // namespace charm::results
