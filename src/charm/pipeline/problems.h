#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "charm/base/error.h"

namespace charm::pipeline {

/// Collects errors where the first would hide the others.
class Problems {
 public:
  /// A message that is there already is not repeated.
  void add(Error error) {
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

 private:
  std::vector<Error> errors_;
};

}  // namespace charm::pipeline
