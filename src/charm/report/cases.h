#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "charm/records/features.h"

// Cases: pairs of responses behind the numbers of a run, with their texts.
namespace charm::report {

/// One response of a case.
struct CaseSide {
  std::string name;  ///< the policy; of a benchmark's row "chosen" or "rejected"
  double score = 0.0;
  std::optional<double> score_after{};  ///< with its offset, or of the corrected model
  std::optional<std::size_t> text{};    ///< in CaseSet::texts; empty: the scores have no texts
};

/// Two responses to one prompt under one reward model.
struct Case {
  std::string id;  ///< stable from report to report: the link #case=<id>
  std::string prompt_id;
  std::int32_t sample = 0;
  std::optional<std::size_t> prompt;  ///< in CaseSet::texts
  CaseSide a, b;
  std::optional<double> vote;  ///< people's: 1 for a, 0 for b, 0.5 a tie
  std::string judge;
  std::string part;  ///< subset of a benchmark
};

/// The numbers of one result file: cells with the same meaning.
struct CaseGroup {
  std::string key;                 ///< "md/<model>": of links
  std::string title;               ///< "Mismatch degree, <model>"
  std::string order;               ///< what the largest differences are, a sentence
  std::vector<std::string> notes;  ///< what is missing, one line each
};

/// A case in a cell, and how it was selected: at least one of the two.
struct SelectedCase {
  std::size_t index = 0;  ///< in CaseSet::cases
  bool is_largest = false;
  bool is_random = false;
};

/// One number of the report: a pair of policies, a subset, a row of the audit.
struct CaseCell {
  std::size_t group = 0;
  std::string a{}, b{};    ///< the pair; empty where the number is not a pair's
  std::string part{};      ///< subset or row of the audit; empty: neither
  std::int64_t total = 0;  ///< comparisons to select from
  std::vector<SelectedCase> cases{};
};

/// Texts that are stored once.
class TextPool {
 public:
  std::size_t add(std::string text, bool is_response);

  struct Text {
    std::string text;
    std::optional<Features> features;  ///< of a response
  };
  const std::vector<Text>& texts() const { return texts_; }

 private:
  std::vector<Text> texts_;
  std::unordered_map<std::string, std::size_t> index_;  // kind and text
};

/// The cases of a run. Empty without `--cases`.
struct CaseSet {
  std::vector<CaseGroup> groups;
  std::vector<CaseCell> cells;
  std::vector<Case> cases;
  TextPool texts;
  std::int64_t per_cell = 0;
  std::uint64_t seed = 0;  ///< of the random draw

  bool empty() const { return groups.empty(); }
  /// The fragment that shows a cell's cases: "#cases=...". Empty where there are none. A pair is
  /// found in either order.
  std::string link(const std::string& group, const std::string& a, const std::string& b,
                   const std::string& part = "") const;
  /// The same for all cells of a group.
  std::string link(const std::string& group) const;
};

// Keys of groups.
std::string mismatch_cases(const std::string& model);
std::string offset_cases(const std::string& model, const std::string& set);
std::string held_out_cases(const std::string& model, const std::string& set);
std::string evaluation_cases(const std::string& model, const std::string& benchmark);

/// The part of an audit's group that a policy's share is.
std::string share_part(const std::string& policy);

/// A text in a fragment: all but letters, digits, '-', '.' and '_' percent-encoded.
std::string url_component(std::string_view text);

/// Which cases are stored together.
struct CaseBundles {
  std::vector<std::vector<std::size_t>> cases;  ///< [bundle] indices into CaseSet::cases, ascending
  std::vector<std::size_t> of_cell;             ///< [cell] bundle
};
/// All cases of the set in one bundle: texts are stored once.
CaseBundles one_bundle(const CaseSet& set);
/// A bundle per cell, to load on demand.
CaseBundles bundle_per_cell(const CaseSet& set);

/// Groups, cells and which cases they have; without texts.
nlohmann::ordered_json case_index_json(const CaseSet& set, const CaseBundles& bundles);

/// The cases of a bundle with their texts.
nlohmann::ordered_json case_bundle_json(const CaseSet& set, const std::vector<std::size_t>& cases);

}  // namespace charm::report
