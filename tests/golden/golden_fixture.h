#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "tests/support/source_dir.h"

namespace charm::golden {

using Json = nlohmann::json;

inline std::filesystem::path data_dir() {
  return std::filesystem::path(charm::test::kSourceDir) / "tests" / "data" / "golden";
}

inline Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path << " is missing";
  return Json::parse(file);
}

/// A folder's name as that of a parametrised test.
inline std::string test_name(std::string folder) {
  for (char& c : folder) c = c == '-' || c == '.' ? '_' : c;
  return folder;
}

/// The largest deviation of one rung and its index. A NaN counts as an infinite deviation.
class Worst {
 public:
  explicit Worst(std::string rung) : rung_(std::move(rung)) {}

  void add(double found, double expected, const std::string& where) {
    ++count_;
    double difference = std::abs(found - expected);
    if (std::isnan(difference)) difference = INFINITY;
    if (difference > difference_ || count_ == 1) {
      difference_ = difference;
      where_ =
          where + ": found " + std::to_string(found) + ", expected " + std::to_string(expected);
    }
  }

  /// Prints the rung's worst element and fails when it is beyond `tolerance` or nothing was
  /// compared.
  void check(double tolerance) const {
    std::cout << "  " << rung_ << ": " << count_ << " values, worst " << difference_
              << " (tolerance " << tolerance << ") at " << where_ << "\n";
    EXPECT_GT(count_, 0) << rung_ << ": nothing was compared";
    EXPECT_LE(difference_, tolerance) << rung_ << ": " << where_;
  }

 private:
  std::string rung_;
  std::int64_t count_ = 0;
  double difference_ = 0.0;
  std::string where_ = "-";
};

}  // namespace charm::golden
