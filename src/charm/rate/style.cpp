#include "charm/rate/style.h"

namespace charm::rate {

std::array<double, kNumStyles> style_differences(const StyleCounts& a, const StyleCounts& b,
                                                 StyleControl control) {
  const auto relative = [&](double one, double other) {
    const double sum = one + other;
    const double divisor =
        control == StyleControl::kFastChat ? sum + 1.0 : (sum == 0.0 ? 1.0 : sum);
    return (one - other) / divisor;
  };
  return {relative(a.length, b.length), relative(a.headers, b.headers), relative(a.lists, b.lists),
          relative(a.bold, b.bold)};
}

}  // namespace charm::rate
