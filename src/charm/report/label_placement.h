#pragma once

#include <cstddef>
#include <vector>

namespace charm::report {

/// A point of a scatter plot in pixels from the top left, and the length of its label.
struct LabelPoint {
  double x = 0.0;
  double y = 0.0;
  std::size_t num_characters = 0;
};

enum class LabelPlace { kHidden, kRight, kLeft, kAbove, kBelow };

/// Places each label beside its point so that it overlaps no other point or label and stays inside
/// the plot; kHidden where there is no such place (tooltip and table still name the point). In the
/// order of the points.
std::vector<LabelPlace> place_labels(const std::vector<LabelPoint>& points, double width,
                                     double height);

}  // namespace charm::report
