#include <algorithm>

#include "charm/report/charts.h"

namespace charm::report {
namespace {

// For the 10 px font of the charts.
constexpr double kCharacterWidth = 5.6, kTextHeight = 11.0, kLongestLabel = 150.0,
                 kPointRadius = 4.0, kGap = 7.0;

struct Box {
  double left, top, right, bottom;
};

bool overlap(const Box& a, const Box& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

Box label_box(const LabelPoint& point, LabelPlace place) {
  const double width =
      std::min(kCharacterWidth * static_cast<double>(point.num_characters), kLongestLabel);
  const double half = kTextHeight / 2;
  switch (place) {
    case LabelPlace::kRight:
      return {point.x + kGap, point.y - half, point.x + kGap + width, point.y + half};
    case LabelPlace::kLeft:
      return {point.x - kGap - width, point.y - half, point.x - kGap, point.y + half};
    case LabelPlace::kAbove:
      return {point.x - width / 2, point.y - 5 - kTextHeight, point.x + width / 2, point.y - 5};
    default:
      return {point.x - width / 2, point.y + 5, point.x + width / 2, point.y + 5 + kTextHeight};
  }
}

}  // namespace

std::vector<LabelPlace> place_labels(const std::vector<LabelPoint>& points, double width,
                                     double height) {
  std::vector<Box> occupied;
  for (const LabelPoint& point : points) {
    occupied.push_back({point.x - kPointRadius, point.y - kPointRadius, point.x + kPointRadius,
                        point.y + kPointRadius});
  }
  std::vector<LabelPlace> places;
  for (const LabelPoint& point : points) {
    places.push_back(LabelPlace::kHidden);
    for (LabelPlace place :
         {LabelPlace::kRight, LabelPlace::kLeft, LabelPlace::kAbove, LabelPlace::kBelow}) {
      const Box box = label_box(point, place);
      const bool is_inside =
          box.left >= 0 && box.right <= width && box.top >= 0 && box.bottom <= height;
      if (!is_inside || std::any_of(occupied.begin(), occupied.end(),
                                    [&](const Box& other) { return overlap(box, other); }))
        continue;
      occupied.push_back(box);
      places.back() = place;
      break;
    }
  }
  return places;
}

}  // namespace charm::report
