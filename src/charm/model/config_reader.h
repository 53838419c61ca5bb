#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace charm::model {

/// Typed access to an object of a config.json; every complaint names file, key, found and expected.
/// Keys that are absent and keys that are null are the same, as in transformers. Refers to the json
/// it is given.
class ConfigReader {
 public:
  /// `scope` goes before keys in messages: "" or "rope_scaling.".
  ConfigReader(const nlohmann::json& object, std::string file, std::string scope = "");

  bool present(std::string_view key) const;
  /// Whether the key is written down, be it as null: some settings have a default that null turns
  /// off.
  bool mentions(std::string_view key) const;

  std::int64_t integer(std::string_view key, std::int64_t lowest,
                       std::int64_t highest = kMaxExtent) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t lowest,
                          std::int64_t highest = kMaxExtent) const;
  double positive(std::string_view key) const;
  double positive_or(std::string_view key, double fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;
  /// One id, a list of ids, or nothing.
  std::vector<std::int32_t> token_ids(std::string_view key) const;
  /// Strings of a list; empty when the key is absent.
  std::vector<std::string> texts(std::string_view key) const;
  /// Positive numbers of a list that must be there.
  std::vector<double> positives(std::string_view key) const;
  /// Entries of an object or list; -1 when the key is absent.
  std::int64_t size_of(std::string_view key) const;
  /// The object under `key`, which must be present and an object.
  ConfigReader object(std::string_view key) const;
  std::vector<std::string> keys() const;

  /// Throws kInput: "<file>: <key> is <found>, expected <expected>: <why>".
  [[noreturn]] void fail(std::string_view key, std::string_view why,
                         std::string_view expected) const;
  /// Fails when the key is present and neither null, false nor 0.
  void refuse_if_set(std::string_view key, std::string_view why) const;

  const std::string& file() const { return file_; }

 private:
  static constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();
  const nlohmann::json* find(std::string_view key) const;

  const nlohmann::json* object_;
  std::string file_;
  std::string scope_;
};

}  // namespace charm::model
