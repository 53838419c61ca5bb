#include "charm/report/label_placement.h"

#include <algorithm>

namespace charm::report {
namespace {

// Of the 10 px text that the charts use.
constexpr double kCharacterWidth = 5.6, kTextHeight = 11.0, kLongestLabel = 150.0,
                 kPointRadius = 4.0, kGap = 7.0;

struct Box {
  double left, top, right, bottom;
};

bool meet(const Box& a, const Box& b) {
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
  std::vector<Box> taken;
  for (const LabelPoint& point : points) {
    taken.push_back({point.x - kPointRadius, point.y - kPointRadius, point.x + kPointRadius,
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
      if (!is_inside || std::any_of(taken.begin(), taken.end(),
                                    [&](const Box& other) { return meet(box, other); }))
        continue;
      taken.push_back(box);
      places.back() = place;
      break;
    }
  }
  return places;
}

}  // namespace charm::report
