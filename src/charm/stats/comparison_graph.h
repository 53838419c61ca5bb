#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// Which ratings or offsets a set of comparisons determines.
namespace charm::stats {

/// Comparisons of two models with one outcome for the first: 1 a win, 0 a loss, 0.5 a tie.
struct ComparisonEdge {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  double outcome = 0.5;
};

/// Strongly connected components of the graph winner -> loser (a tie is an edge both ways): with
/// more than one, some rating is infinite (Ford 1957). Indices of models, largest component first;
/// models without a comparison are components of their own.
std::vector<std::vector<std::size_t>> win_components(std::size_t num_models,
                                                     std::span<const ComparisonEdge> edges);

/// Connected components of the comparison graph, largest first.
std::vector<std::vector<std::size_t>> connected_components(std::size_t num_models,
                                                           std::span<const ComparisonEdge> edges);

/// Whether a component has a win, or a loss, against the other models; a tie is both.
struct CrossComponentOutcomes {
  bool wins = false;
  bool loses = false;
};

/// `group` ascending.
CrossComponentOutcomes outcomes_against_others(std::span<const ComparisonEdge> edges,
                                               const std::vector<std::size_t>& group);

}  // namespace charm::stats
