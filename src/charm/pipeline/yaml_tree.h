#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/fs.h"

namespace charm::pipeline {

struct YamlMember;

/// A YAML document as plain values with line numbers.
struct YamlValue {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;                     ///< from 1
  std::string text;                 ///< of a scalar
  std::vector<YamlValue> items;     ///< of a list
  std::vector<YamlMember> members;  ///< of a map, in file order

  /// The member of that name (`_` and `-` are equivalent), or nullptr.
  const YamlValue* find(std::string_view name) const;
};

struct YamlMember {
  std::string name;
  int line = 0;
  YamlValue value;
};

/// "a scalar", "a list", ...: for messages.
std::string_view yaml_kind_name(YamlValue::Kind kind);

/// Reads a file with one YAML document. Throws kIo, or kInput naming file and line for broken YAML
/// and for a key given twice.
YamlValue read_yaml(const fs::path& path);

}  // namespace charm::pipeline
