#include "charm/calibrate/smooth_pairs.h"

#include <algorithm>

#include "charm/base/check.h"
#include "charm/calibrate/direct_pairs.h"
#include "charm/calibrate/spectral_pairs.h"

namespace charm::calibrate {

std::unique_ptr<SmoothCurve> SmoothPairs::curve() const {
  return curve(std::vector<double>(num_over_, 1.0), std::vector<double>(num_ref_, 1.0));
}

std::unique_ptr<SmoothPairs> make_smooth_pairs(std::span<const double> over,
                                               std::span<const double> ref,
                                               const SmoothPairsOptions& options) {
  CHARM_CHECK(options.block_rows == 0 || over.size() == ref.size(), "{} rows against {} in blocks",
              over.size(), ref.size());
  if (SpectralPairs::suits(over, ref, options))
    return std::make_unique<SpectralPairs>(over, ref, options);
  return std::make_unique<DirectPairs>(over, ref, options);
}

std::vector<RowBlock> row_blocks(std::size_t num_rows, std::int64_t block_rows) {
  const std::size_t step = block_rows == 0 ? num_rows : static_cast<std::size_t>(block_rows);
  std::vector<RowBlock> blocks;
  for (std::size_t first = 0; first < num_rows; first += step) {
    blocks.push_back({.first = first, .last = std::min(num_rows, first + step)});
  }
  return blocks;
}

}  // namespace charm::calibrate
