#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/fs.h"

namespace charm::pipeline {

/// What an option or a stage says of its settings, where a recipe has them: the content of a file.
inline Error as_input(const Error& error) {
  return error.kind() == ErrorKind::kUsage ? Error(ErrorKind::kInput, "{}", error.message())
                                           : error;
}

/// Collects errors where the first would hide the others.
class Problems {
 public:
  /// A message that is there already is not repeated.
  void add(const Error& found) {
    Error error = as_input(found);
    const auto is_same = [&](const Error& known) { return known.message() == error.message(); };
    if (std::none_of(errors_.begin(), errors_.end(), is_same)) errors_.push_back(std::move(error));
  }

  /// Runs `body`; an Error that it throws is collected. @return whether it ended without one
  template <typename Body>
  bool collect(const Body& body) {
    try {
      body();
    } catch (const Error& error) {
      add(error);
      return false;
    }
    return true;
  }

  bool empty() const { return errors_.empty(); }
  const std::vector<Error>& errors() const { return errors_; }

  void throw_first() const {
    if (!errors_.empty()) throw Error(errors_.front());
  }

  /// Ends a command on the only problem, or on their number and the first of several. The kind is
  /// that of all of them; kInput if they differ.
  void throw_all(const fs::path& recipe) const {
    if (errors_.size() < 2) return throw_first();
    const bool same = std::all_of(errors_.begin(), errors_.end(), [&](const Error& error) {
      return error.kind() == errors_.front().kind();
    });
    throw Error(same ? errors_.front().kind() : ErrorKind::kInput,
                "{}: {} problems would end the run, first: {}", recipe.string(), errors_.size(),
                errors_.front().message());
  }

 private:
  std::vector<Error> errors_;
};

}  // namespace charm::pipeline
