#include <fmt/format.h>

#include <algorithm>

#include "charm/pipeline/recipe.h"
#include "charm/pipeline/yaml_tree.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {
namespace {

using pipeline::YamlMember;
using pipeline::YamlValue;

/// A quoted YAML scalar.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

/// The tree in YAML's flow style, without line numbers.
std::string dump(const YamlValue& value) {
  std::string out;
  switch (value.kind) {
    case YamlValue::Kind::kNull:
      return "~";
    case YamlValue::Kind::kScalar:
      return quoted(value.text);
    case YamlValue::Kind::kList:
      for (const YamlValue& item : value.items) out += (out.empty() ? "" : ", ") + dump(item);
      return "[" + out + "]";
    case YamlValue::Kind::kMap:
      for (const YamlMember& member : value.members)
        out += (out.empty() ? "" : ", ") + quoted(member.name) + ": " + dump(member.value);
      return "{" + out + "}";
  }
  return out;
}

}  // namespace

bool recipe_property(std::string_view bytes) {
  const std::filesystem::path file = scratch_file("recipe.yaml", bytes);
  YamlValue tree;
  if (!accepts([&] { tree = pipeline::read_yaml(file); }, {ErrorKind::kInput})) return false;
  const std::string text = dump(tree);
  require(dump(pipeline::read_yaml(scratch_file("copy.yaml", text))) == text, "YAML round trip");
  pipeline::Problems problems;
  const bool is_read = accepts([&] { pipeline::read_recipe(file, problems); },
                               {ErrorKind::kUsage, ErrorKind::kInput, ErrorKind::kIo});
  // Files referenced by a recipe may be missing.
  return is_read && std::all_of(problems.errors().begin(), problems.errors().end(),
                                [](const Error& e) { return e.kind() == ErrorKind::kIo; });
}

}  // namespace charm::fuzz
