#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "charm/report/cases.h"

namespace charm::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kLargest = 1, kRandom = 2;  // how a case was selected, as assets/cases.js reads it

/// Places of texts in a bundle.
class BundleTexts {
 public:
  explicit BundleTexts(const TextPool& pool) : pool_(pool) {}

  Json place_of(const std::optional<std::size_t>& text) {
    if (!text) return {};
    const auto [place, is_new] = places_.try_emplace(*text, texts_.size());
    if (is_new) {
      const TextPool::Text& entry = pool_.texts()[*text];
      texts_.push_back(entry.text);
      features_.push_back(entry.features ? features_json(*entry.features) : Json());
    }
    return place->second;
  }

  Json& texts() { return texts_; }
  Json& features() { return features_; }

 private:
  // Characters and counts.
  static Json features_json(const Features& features) {
    Json json = Json::array();
    for (std::size_t f = 0; f < kNumFeatures; ++f) {
      json.push_back(std::llround(f == kLogLength ? std::expm1(features[f]) : features[f]));
    }
    return json;
  }

  const TextPool& pool_;
  std::unordered_map<std::size_t, std::size_t> places_;
  Json texts_ = Json::array();
  Json features_ = Json::array();
};

Json side_json(const CaseSide& side, BundleTexts& texts) {
  Json json = {{"name", side.name}, {"score", side.score}};
  if (side.score_after) json["after"] = *side.score_after;
  json["text"] = texts.place_of(side.text);
  return json;
}

Json case_json(const Case& one, BundleTexts& texts) {
  Json json = {{"prompt_id", one.prompt_id}, {"prompt", texts.place_of(one.prompt)}};
  if (one.sample != 0) json["sample"] = one.sample;
  json["a"] = side_json(one.a, texts);
  json["b"] = side_json(one.b, texts);
  if (one.vote) json["vote"] = *one.vote;
  if (!one.judge.empty()) json["judge"] = one.judge;
  if (!one.part.empty()) json["part"] = one.part;
  return json;
}

Json feature_names() {
  Json names = Json::array();
  for (std::size_t f = 0; f < kNumFeatures; ++f)
    names.push_back(f == kLogLength ? std::string_view("characters") : kFeatures[f].name);
  return names;
}

}  // namespace

CaseBundles one_bundle(const CaseSet& set) {
  CaseBundles bundles;
  bundles.cases.emplace_back(set.cases.size());
  std::iota(bundles.cases.front().begin(), bundles.cases.front().end(), std::size_t{0});
  bundles.of_cell.assign(set.cells.size(), 0);
  return bundles;
}

CaseBundles bundle_per_cell(const CaseSet& set) {
  CaseBundles bundles;
  for (const CaseCell& cell : set.cells) {
    bundles.of_cell.push_back(bundles.cases.size());
    std::vector<std::size_t>& cases = bundles.cases.emplace_back();
    for (const SelectedCase& selected : cell.cases) cases.push_back(selected.index);
    std::ranges::sort(cases);
  }
  return bundles;
}

Json case_index_json(const CaseSet& set, const CaseBundles& bundles) {
  Json json = {{"seed", set.seed},
               {"per_cell", set.per_cell},
               {"features", feature_names()},
               {"groups", Json::array()},
               {"cells", Json::array()}};
  for (const CaseGroup& group : set.groups) {
    json["groups"].push_back({{"key", group.key},
                              {"title", group.title},
                              {"order", group.order},
                              {"notes", group.notes}});
  }
  for (std::size_t c = 0; c < set.cells.size(); ++c) {
    const CaseCell& cell = set.cells[c];
    const std::vector<std::size_t>& bundle = bundles.cases[bundles.of_cell[c]];
    Json cases = Json::array();
    for (const SelectedCase& selected : cell.cases) {
      const auto place = std::ranges::lower_bound(bundle, selected.index) - bundle.begin();
      const int how = (selected.is_largest ? kLargest : 0) + (selected.is_random ? kRandom : 0);
      cases.push_back({set.cases[selected.index].id, place, how});
    }
    json["cells"].push_back({{"group", cell.group},
                             {"a", cell.a},
                             {"b", cell.b},
                             {"part", cell.part},
                             {"total", cell.total},
                             {"bundle", bundles.of_cell[c]},
                             {"cases", std::move(cases)}});
  }
  return json;
}

Json case_bundle_json(const CaseSet& set, const std::vector<std::size_t>& cases) {
  BundleTexts texts(set.texts);
  Json list = Json::array();
  for (const std::size_t index : cases) list.push_back(case_json(set.cases[index], texts));
  return {{"cases", std::move(list)},
          {"texts", std::move(texts.texts())},
          {"features", std::move(texts.features())}};
}

}  // namespace charm::report
