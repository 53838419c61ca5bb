#include "charm/pipeline/yaml_tree.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/option_table.h"

namespace charm::pipeline {
namespace {

// Deeper than any recipe; prevents stack exhaustion by a hostile file.
constexpr int kMaxDepth = 32;
// Counts each use of an alias: nested aliases can expand to billions of values.
constexpr int kMaxValues = 10000;

YamlValue convert(const YAML::Node& node, const fs::path& path, int depth, int& num_values) {
  YamlValue value;
  value.line = std::max(node.Mark().line + 1, 1);  // an empty document has no mark
  if (++num_values > kMaxValues) {
    throw Error(ErrorKind::kInput, "{}:{}: more than {} values, counting each use of an alias",
                path.string(), value.line, kMaxValues);
  }
  if (depth > kMaxDepth)
    throw Error(ErrorKind::kInput, "{}:{}: nested too deeply", path.string(), value.line);
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return value;
    case YAML::NodeType::Scalar:
      value.kind = YamlValue::Kind::kScalar;
      value.text = node.Scalar();
      return value;
    case YAML::NodeType::Sequence:
      value.kind = YamlValue::Kind::kList;
      for (const YAML::Node& item : node)
        value.items.push_back(convert(item, path, depth + 1, num_values));
      return value;
    case YAML::NodeType::Map:
      break;
  }
  value.kind = YamlValue::Kind::kMap;
  for (const auto& entry : node) {
    const int line = entry.first.Mark().line + 1;
    if (!entry.first.IsScalar())
      throw Error(ErrorKind::kInput, "{}:{}: a key must be a plain word", path.string(), line);
    const std::string name = entry.first.Scalar();
    if (value.find(name) != nullptr)
      throw Error(ErrorKind::kInput, "{}:{}: key '{}' is given twice", path.string(), line, name);
    value.members.push_back(
        {.name = name, .line = line, .value = convert(entry.second, path, depth + 1, num_values)});
  }
  return value;
}

}  // namespace

const YamlValue* YamlValue::find(std::string_view name) const {
  const std::string spelled = option_spelling(name);
  for (const YamlMember& member : members) {
    if (option_spelling(member.name) == spelled) return &member.value;
  }
  return nullptr;
}

std::string_view yaml_kind_name(YamlValue::Kind kind) {
  switch (kind) {
    case YamlValue::Kind::kNull:
      return "nothing";
    case YamlValue::Kind::kScalar:
      return "a single value";
    case YamlValue::Kind::kList:
      return "a list";
    case YamlValue::Kind::kMap:
      return "a map";
  }
  return "?";
}

YamlValue read_yaml(const fs::path& path) {
  const std::string content = read_file(path);
  int num_values = 0;
  try {
    return convert(YAML::Load(content), path, 0, num_values);
  } catch (const YAML::Exception& error) {
    throw Error(ErrorKind::kInput, "{}:{}: not valid YAML: {}", path.string(), error.mark.line + 1,
                error.msg);
  }
}

}  // namespace charm::pipeline
