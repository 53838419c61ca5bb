#include "charm/results/world.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWorldWriter = "charm demo";
constexpr const char* kHowPlanted = "how_the_planted_offset_is_known";
constexpr const char* kInInterval = "planted_in_interval";

/// All other members are tables.
constexpr std::array kOwnMembers = {"about",
                                    kHowPlanted,
                                    "seed",
                                    "planted",
                                    kInInterval,
                                    "recovered_offset",
                                    "recovered_offset_ci95"};

bool is_interval_of(const Json& object, const std::string& name) {
  constexpr std::string_view kEnd = "_ci95";
  return name.ends_with(kEnd) && object.contains(name.substr(0, name.size() - kEnd.size()));
}

Json planted_json(const World::Planted& planted) {
  Json json = {{"policy", planted.policy}, {"planted_offset", planted.offset}};
  if (planted.sd_over_probes) json["sd_over_probes"] = *planted.sd_over_probes;
  if (planted.num_probes) json["num_probes"] = *planted.num_probes;
  return json;
}

World::Table read_table(const std::string& name, const Fields& fields) {
  World::Table table{.name = name, .rows = {}};
  for (const auto& [row, value] : fields.json().items()) {
    if (!is_interval_of(fields.json(), row)) table.rows.emplace_back(row, fields.estimate_at(row));
  }
  return table;
}

}  // namespace

std::optional<bool> World::planted_in_interval() const {
  if (planted.empty() || !recovered_offset || !recovered_offset->ci95) return std::nullopt;
  const double offset = planted.front().offset;
  return offset >= recovered_offset->ci95->lo && offset <= recovered_offset->ci95->hi;
}

Json to_json(const World& world) {
  Json json = Json::object();
  if (!world.about.empty()) json["about"] = world.about;
  if (!world.how_planted.empty()) json[kHowPlanted] = world.how_planted;
  if (world.seed) json["seed"] = *world.seed;
  json["planted"] = Json::array();
  for (const World::Planted& planted : world.planted)
    json["planted"].push_back(planted_json(planted));
  if (const auto inside = world.planted_in_interval()) json[kInInterval] = *inside;
  if (world.recovered_offset) put_estimate(json, "recovered_offset", world.recovered_offset);
  for (const World::Table& table : world.tables) {
    Json& rows = json[table.name] = Json::object();
    for (const auto& [name, estimate] : table.rows) put_estimate(rows, name, estimate);
  }
  return json;
}

World read_world(const Json& json, const std::string& file) {
  const Fields fields(json, file, kWorldWriter);
  World world{.about = fields.find_or<std::string>("about"),
              .how_planted = fields.find_or<std::string>(kHowPlanted),
              .seed = fields.find<std::uint64_t>("seed"),
              .planted = {},
              .recovered_offset = fields.find_estimate("recovered_offset"),
              .tables = {}};
  for (const Fields& planted : fields.at<std::vector<Fields>>("planted")) {
    world.planted.push_back({.policy = planted.at<std::string>("policy"),
                             .offset = planted.at<double>("planted_offset"),
                             .sd_over_probes = planted.find<double>("sd_over_probes"),
                             .num_probes = planted.find<std::int64_t>("num_probes")});
  }
  for (const auto& [name, value] : json.items()) {
    const bool is_own =
        std::find(kOwnMembers.begin(), kOwnMembers.end(), name) != kOwnMembers.end();
    if (!is_own) world.tables.push_back(read_table(name, fields.at<Fields>(name.c_str())));
  }
  return world;
}

World read_world(const std::filesystem::path& path) {
  return read_world(read_json(path, kWorldWriter), path.string());
}

}  // namespace charm::results
