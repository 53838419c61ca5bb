#include "charm/calibrate/smooth_pairs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "charm/base/check.h"
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

namespace {

// Beyond this many temperatures a sigmoid is 0 or 1 to 1e-17.
constexpr double kSaturationWidth = 40.0;

struct WeightedScore {
  double score;
  double weight;  // the weights of a block's side add up to 1
};

struct Block {
  std::vector<WeightedScore> over;  // ascending scores
  std::vector<WeightedScore> ref;
  double weight = 0.0;  // share of all rows
};

class DirectCurve final : public SmoothCurve {
 public:
  DirectCurve(std::vector<Block> blocks, double temperature)
      : blocks_(std::move(blocks)), temperature_(temperature) {}

  CurvePoint at(double offset) const override {
    CurvePoint point;
    for (const Block& block : blocks_) {
      const CurvePoint part = at(block, offset);
      point.win_rate += block.weight * part.win_rate;
      point.slope += block.weight * part.slope;
    }
    return point;
  }

 private:
  CurvePoint at(const Block& block, double offset) const {
    CurvePoint point;
    double beaten = 0.0;  // weight of the ref scores below the saturation width
    std::size_t first = 0;
    for (const auto& [score, weight] : block.over) {
      const double level = score + offset;
      while (first < block.ref.size() &&
             block.ref[first].score < level - kSaturationWidth * temperature_) {
        beaten += block.ref[first++].weight;
      }
      double wins = beaten;
      double slope = 0.0;
      for (std::size_t j = first; j < block.ref.size(); ++j) {
        const double z = (level - block.ref[j].score) / temperature_;
        if (z < -kSaturationWidth) break;
        const double sigmoid = 1.0 / (1.0 + std::exp(-z));
        wins += block.ref[j].weight * sigmoid;
        slope += block.ref[j].weight * sigmoid * (1.0 - sigmoid) / temperature_;
      }
      point.win_rate += weight * wins;
      point.slope += weight * slope;
    }
    return point;
  }

  std::vector<Block> blocks_;
  double temperature_;
};

double total_weight(std::span<const double> weights, RowBlock rows) {
  const auto part = weights.subspan(rows.first, rows.last - rows.first);
  return std::accumulate(part.begin(), part.end(), 0.0);
}

std::vector<WeightedScore> sorted_side(std::span<const double> scores,
                                       std::span<const double> weights, RowBlock rows) {
  const double total = total_weight(weights, rows);
  std::vector<WeightedScore> side;
  for (std::size_t row = rows.first; row < rows.last; ++row) {
    if (weights[row] > 0.0) side.push_back({.score = scores[row], .weight = weights[row] / total});
  }
  std::sort(side.begin(), side.end(),
            [](const WeightedScore& a, const WeightedScore& b) { return a.score < b.score; });
  return side;
}

}  // namespace

DirectPairs::DirectPairs(std::span<const double> over, std::span<const double> ref,
                         const SmoothPairsOptions& options)
    : SmoothPairs(over.size(), ref.size()),
      over_(over.begin(), over.end()),
      ref_(ref.begin(), ref.end()),
      options_(options) {}

std::unique_ptr<SmoothCurve> DirectPairs::curve(std::span<const double> over_weights,
                                                std::span<const double> ref_weights) const {
  const auto over_blocks = row_blocks(over_.size(), options_.block_rows);
  const auto ref_blocks = row_blocks(ref_.size(), options_.block_rows);
  const double all = total_weight(over_weights, {.first = 0, .last = over_.size()});
  std::vector<Block> blocks;
  for (std::size_t b = 0; b < over_blocks.size(); ++b) {
    const double weight = total_weight(over_weights, over_blocks[b]) / all;
    if (weight == 0.0) continue;
    blocks.push_back({.over = sorted_side(over_, over_weights, over_blocks[b]),
                      .ref = sorted_side(ref_, ref_weights, ref_blocks[b]),
                      .weight = weight});
  }
  return std::make_unique<DirectCurve>(std::move(blocks), options_.temperature);
}

}  // namespace charm::calibrate
