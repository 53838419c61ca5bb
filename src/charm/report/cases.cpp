#include "charm/report/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace charm::report {
namespace {

std::string fragment(const std::string& group, const std::string& a, const std::string& b,
                     const std::string& part) {
  std::string link = "#cases=" + url_component(group);
  if (!a.empty()) link += "&a=" + url_component(a);
  if (!b.empty()) link += "&b=" + url_component(b);
  if (!part.empty()) link += "&part=" + url_component(part);
  return link;
}

}  // namespace

std::size_t TextPool::add(std::string text, bool is_response) {
  const auto [place, is_new] = index_.try_emplace((is_response ? "r" : "p") + text, texts_.size());
  if (is_new) {
    texts_.push_back({});
    if (is_response) texts_.back().features = response_features(text);
    texts_.back().text = std::move(text);
  }
  return place->second;
}

std::string CaseSet::link(const std::string& group, const std::string& a, const std::string& b,
                          const std::string& part) const {
  const auto is_of = [&](const CaseCell& cell) {
    const bool is_pair = (cell.a == a && cell.b == b) || (cell.a == b && cell.b == a);
    return is_pair && cell.part == part && !cell.cases.empty() && groups[cell.group].key == group;
  };
  return std::ranges::any_of(cells, is_of) ? fragment(group, a, b, part) : std::string();
}

std::string CaseSet::link(const std::string& group) const {
  const auto is_of = [&](const CaseCell& cell) {
    return !cell.cases.empty() && groups[cell.group].key == group;
  };
  return std::ranges::any_of(cells, is_of) ? fragment(group, "", "", "") : std::string();
}

std::string mismatch_cases(const std::string& model) { return "md/" + model; }

std::string offset_cases(const std::string& model, const std::string& set) {
  return fmt::format("offsets/{}/{}", model, set);
}

std::string held_out_cases(const std::string& model, const std::string& set) {
  return fmt::format("held-out/{}/{}", model, set);
}

std::string evaluation_cases(const std::string& model, const std::string& benchmark) {
  return fmt::format("eval/{}/{}", model, benchmark);
}

std::string share_part(const std::string& policy) { return "share of " + policy; }

std::string url_component(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (is_plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace charm::report
