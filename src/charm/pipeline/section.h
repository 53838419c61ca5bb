#pragma once

#include <string>
#include <vector>

#include "charm/pipeline/option_table.h"
#include "charm/pipeline/yaml_tree.h"

namespace charm::pipeline {

/// A resolved setting as the recipe gives it: what a step's fingerprint is made of.
struct Setting {
  std::string name;
  std::vector<std::string> values;
  bool operator==(const Setting&) const = default;
};

/// The part of a recipe that one map holds, with messages that name file and line.
class Section {
 public:
  /// Throws kUsage unless `value` is a map. `name` is used in messages: "calibration".
  Section(const fs::path& file, std::string name, const YamlValue& value);

  /// Gives the members to the table's options; paths are resolved against the recipe's folder. Keys
  /// that neither the table nor `others` knows are errors that name the nearest known key.
  std::vector<Setting> assign(const OptionTable& table,
                              const std::vector<std::string>& others = {}) const;

  const YamlValue* find(std::string_view name) const { return value_->find(name); }

  /// A scalar member; throws kUsage when it is missing or something else.
  std::string text(std::string_view name) const;
  /// A list of scalars, or one scalar; empty when missing.
  std::vector<std::string> texts(std::string_view name) const;
  std::vector<fs::path> paths(std::string_view name) const;

  const std::string& name() const { return name_; }
  int line() const { return value_->line; }
  /// "recipe.yaml:12: ".
  std::string at(int line) const;

 private:
  fs::path file_;
  std::string name_;
  const YamlValue* value_;
};

/// `text` against the folder of the recipe, in normal form; absolute paths and Hub sources stay.
fs::path resolve_path(const fs::path& recipe, const std::string& text);

}  // namespace charm::pipeline
