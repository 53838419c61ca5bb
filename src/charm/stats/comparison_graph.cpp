#include "charm/stats/comparison_graph.h"

#include <algorithm>
#include <utility>

namespace charm::stats {
namespace {

using Neighbours = std::vector<std::vector<std::size_t>>;

// Post-order of a depth-first search from `start`.
void post_order(const Neighbours& edges, std::size_t start, std::vector<char>& seen,
                std::vector<std::size_t>& order) {
  std::vector<std::pair<std::size_t, std::size_t>> stack = {{start, 0}};
  seen[start] = 1;
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (next == edges[node].size()) {
      order.push_back(node);
      stack.pop_back();
      continue;
    }
    const std::size_t target = edges[node][next++];
    if (seen[target] != 0) continue;
    seen[target] = 1;
    stack.emplace_back(target, 0);
  }
}

// Kosaraju: strongly connected components, largest first.
std::vector<std::vector<std::size_t>> strongly_connected_components(const Neighbours& forward,
                                                                    const Neighbours& backward) {
  const std::size_t n = forward.size();
  std::vector<char> seen(n, 0);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < n; ++i) {
    if (seen[i] == 0) post_order(forward, i, seen, order);
  }
  std::fill(seen.begin(), seen.end(), 0);
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t k = n; k-- > 0;) {
    if (seen[order[k]] != 0) continue;
    groups.emplace_back();
    post_order(backward, order[k], seen, groups.back());
    std::sort(groups.back().begin(), groups.back().end());
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& one, const auto& other) { return one.size() > other.size(); });
  return groups;
}

}  // namespace

std::vector<std::vector<std::size_t>> win_components(std::size_t num_models,
                                                     std::span<const ComparisonEdge> edges) {
  Neighbours beaten(num_models);  // edge from winner to loser
  Neighbours beating(num_models);
  for (const ComparisonEdge& edge : edges) {
    if (edge.outcome > 0.0) {
      beaten[edge.a].push_back(edge.b);
      beating[edge.b].push_back(edge.a);
    }
    if (edge.outcome < 1.0) {
      beaten[edge.b].push_back(edge.a);
      beating[edge.a].push_back(edge.b);
    }
  }
  return strongly_connected_components(beaten, beating);
}

std::vector<std::vector<std::size_t>> connected_components(std::size_t num_models,
                                                           std::span<const ComparisonEdge> edges) {
  Neighbours met(num_models);
  for (const ComparisonEdge& edge : edges) {
    met[edge.a].push_back(edge.b);
    met[edge.b].push_back(edge.a);
  }
  return strongly_connected_components(met, met);
}

CrossComponentOutcomes outcomes_against_others(std::span<const ComparisonEdge> edges,
                                               const std::vector<std::size_t>& group) {
  const auto inside = [&](std::size_t model) {
    return std::binary_search(group.begin(), group.end(), model);
  };
  CrossComponentOutcomes outside;
  for (const ComparisonEdge& edge : edges) {
    if (inside(edge.a) == inside(edge.b)) continue;
    const double outcome = inside(edge.a) ? edge.outcome : 1.0 - edge.outcome;
    outside.wins |= outcome > 0.0;
    outside.loses |= outcome < 1.0;
  }
  return outside;
}

}  // namespace charm::stats
