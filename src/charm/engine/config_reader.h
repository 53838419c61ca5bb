#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace charm::engine {

struct RopeConfig;

/// Typed access to an object of a config.json; every error names file, key, found and expected. A
/// null key counts as absent, as in transformers. Refers to the given json.
class ConfigReader {
 public:
  /// `scope` prefixes keys in messages: "" or "rope_scaling.".
  ConfigReader(const nlohmann::json& object, std::string file, std::string scope = "");

  bool present(std::string_view key) const;
  /// Whether the key is present, even as null: null disables the default of some settings.
  bool mentions(std::string_view key) const;

  std::int64_t integer(std::string_view key, std::int64_t lowest,
                       std::int64_t highest = kMaxExtent) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t lowest,
                          std::int64_t highest = kMaxExtent) const;
  /// Whether the key is present as a string.
  bool is_text(std::string_view key) const;
  double number(std::string_view key) const;
  double positive(std::string_view key) const;
  double positive_or(std::string_view key, double fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;
  /// One id or a list of ids; empty when the key is absent.
  std::vector<std::int32_t> token_ids(std::string_view key) const;
  /// Integers of a list, none below `lowest`; empty when the key is absent.
  std::vector<std::int64_t> integers(std::string_view key, std::int64_t lowest) const;
  /// Strings of a list; empty when the key is absent.
  std::vector<std::string> texts(std::string_view key) const;
  /// Positive numbers of a required list.
  std::vector<double> positives(std::string_view key) const;
  /// Entries of an object or list; -1 when the key is absent.
  std::int64_t size_of(std::string_view key) const;
  /// The object under `key`, which must be present and an object.
  ConfigReader object(std::string_view key) const;
  std::vector<std::string> keys() const;

  /// Throws kInput: "<file>: <key> is <found>, expected <expected>: <why>".
  [[noreturn]] void fail(std::string_view key, std::string_view why,
                         std::string_view expected) const;
  /// Fails when the key is set to anything but null, false, 0 or an empty list.
  void refuse_if_set(std::string_view key, std::string_view why) const;

  const std::string& file() const { return file_; }

 private:
  static constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();
  const nlohmann::json* find(std::string_view key) const;

  const nlohmann::json* object_;
  std::string file_;
  std::string scope_;
};

/// What families differ in when they read RoPE settings.
struct RopeReading {
  double default_theta = 10000.0;  ///< transformers 5.17, configuration_utils
  bool phi3_names = false;         ///< "su" and "yarn" are names of longrope
  bool partial = false;            ///< there may be a partial_rotary_factor
  double default_partial = 1.0;    ///< where it is not mentioned
  bool multimodal = false;  ///< there may be settings of multimodal RoPE, which is RoPE for text
};

/// Reads the RoPE settings in both spellings: `rope_theta` with `rope_scaling` (transformers 4) and
/// `rope_parameters` (transformers 5). Throws kInput for rope types other than default, linear,
/// dynamic, yarn, longrope and llama3, naming the type, and for unknown settings.
RopeConfig read_rope(const ConfigReader& reader, const RopeReading& reading = {});

/// Keys of one RoPE of a model with one per kind of layer.
struct LayerRopeKeys {
  std::string_view layers;     ///< its object in `rope_parameters` (transformers 5)
  std::string_view theta_key;  ///< its theta in transformers 4
  double default_theta = 0.0;
  bool scaled = false;  ///< transformers 4's `rope_scaling` applies to this one
};
RopeConfig read_layer_rope(const ConfigReader& reader, const LayerRopeKeys& keys);

}  // namespace charm::engine
