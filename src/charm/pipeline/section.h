#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "charm/pipeline/problems.h"
#include "charm/pipeline/yaml_tree.h"

namespace charm {
class OptionTable;
}

namespace charm::pipeline {

/// A setting given in the recipe; part of a step's fingerprint.
struct Setting {
  std::string name;
  std::vector<std::string> values;
  bool operator==(const Setting&) const = default;
};

/// One map of a recipe, with error messages that name file and line.
class Section {
 public:
  /// Name of the whole document, whose keys stand alone in messages.
  static constexpr std::string_view kTop = "the recipe";

  /// Throws kInput unless `value` is a map. `name` is used in messages: "calibration".
  Section(const fs::path& file, std::string name, const YamlValue& value, Problems& problems);

  /// Assigns the members to the table's options; paths are relative to the recipe's folder. Keys
  /// that are neither in the table nor in `others`, which name the nearest known key, and wrong
  /// values are collected as problems.
  std::vector<Setting> assign(const OptionTable& table,
                              const std::vector<std::string>& others = {}) const;

  const YamlValue* find(std::string_view name) const { return value_->find(name); }

  /// A scalar member; throws kInput when it is missing or something else.
  std::string text(std::string_view name) const;
  /// A list of scalars, or one scalar; empty when missing.
  std::vector<std::string> texts(std::string_view name) const;

  /// A part of this section.
  Section child(std::string name, const YamlValue& value) const {
    return Section(file_, std::move(name), value, *problems_);
  }
  Problems& problems() const { return *problems_; }

  const fs::path& file() const { return file_; }
  const std::string& name() const { return name_; }
  int line() const { return value_->line; }
  /// "calibrate.seed"; of the top level "seed".
  std::string key(std::string_view member) const;
  /// "recipe.yaml:12: ".
  std::string at(int line) const;
  /// Runs `body`, which checks what the recipe says at that line under `key`. An Error of it names
  /// file, line and key, and is one of the recipe's content.
  template <typename Body>
  void check_at(int line, std::string_view key, const Body& body) const {
    try {
      body();
    } catch (const Error& error) {
      throw as_input(error.with_context(fmt::format("{}{}", at(line), key)));
    }
  }

 private:
  fs::path file_;
  std::string name_;
  const YamlValue* value_;
  Problems* problems_;
};

/// `text` relative to the folder of the recipe, normalised; absolute paths and Hub sources are
/// unchanged.
fs::path resolve_path(const fs::path& recipe, const std::string& text);

}  // namespace charm::pipeline
