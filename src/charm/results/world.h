#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charm/results/estimate.h"

namespace charm::results {

/// Its name in a run directory.
inline constexpr const char* kWorldFile = "world.json";

/// world.json of `charm demo`: what is planted in a synthetic world, and what a run found of it.
struct World {
  struct Planted {
    std::string policy;
    double offset = 0.0;                   ///< score units
    std::optional<double> sd_over_probes;  ///< score units
    std::optional<std::int64_t> num_probes;
  };
  struct Table {
    std::string name;
    std::vector<std::pair<std::string, Estimate>> rows;
  };
  std::string about{};
  std::string how_planted{};  ///< how the planted offset is known
  std::optional<std::uint64_t> seed{};
  std::vector<Planted> planted{};
  std::optional<Estimate> recovered_offset{};  ///< of the first planted policy
  std::vector<Table> tables{};                 ///< further numbers of the world and the run

  /// Whether the recovered offset's interval holds the planted one; empty without an interval.
  std::optional<bool> planted_in_interval() const;
};

nlohmann::ordered_json to_json(const World& world);

/// Throws kInput naming the file and the member.
World read_world(const nlohmann::ordered_json& json, const std::string& file);
World read_world(const std::filesystem::path& path);

}  // namespace charm::results
