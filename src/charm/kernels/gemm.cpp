#include "charm/kernels/gemm.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <type_traits>

#include "charm/kernels/micro_kernel.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

// Tuned on AVX-512; they do not affect the result. A task's panels and accumulators fit in L2, a
// strip of rows in L1.
constexpr std::int64_t kBlockSteps =
    384;                                  ///< K block: steps computed before the next strip of rows
constexpr std::int64_t kGroupPanels = 6;  ///< panels of one task
constexpr std::int64_t kBlockRows = 192;  ///< rows of one task
constexpr std::int64_t kTasksPerThread = 4;
constexpr std::int64_t kTile = kMicroRows * kMicroColumns;
constexpr std::int64_t kCacheLineSteps = 16;

template <typename Element>
constexpr std::int64_t kStepInputs = sizeof(std::uint32_t) / sizeof(Element);

template <typename Element>
std::int64_t steps_of(std::int64_t inputs) {
  return (inputs + kStepInputs<Element> - 1) / kStepInputs<Element>;
}

/// Copies inputs as steps; the last step is zero-padded.
template <typename Element>
void copy_steps(const Element* row, std::int64_t inputs, std::uint32_t* to) {
  const auto bytes = static_cast<std::size_t>(inputs) * sizeof(Element);
  if (inputs % kStepInputs<Element> != 0) to[inputs / kStepInputs<Element>] = 0;
  std::memcpy(to, row, bytes);
}

/// One row of a weight becomes column `column` of a panel.
template <typename Element>
void pack_column(const Element* row, std::int64_t inputs, std::int64_t begin_step,
                 std::int64_t end_step, std::int64_t column, std::uint32_t* panel) {
  std::uint32_t steps[kCacheLineSteps] = {};
  const std::int64_t first = begin_step * kStepInputs<Element>;
  if (row != nullptr && end_step - begin_step == kCacheLineSteps &&
      end_step * kStepInputs<Element> <= inputs)
    std::memcpy(steps, row + first, sizeof steps);
  else if (row != nullptr)
    copy_steps(row + first, std::min(inputs, end_step * kStepInputs<Element>) - first, steps);
  for (std::int64_t k = begin_step; k < end_step; ++k)
    panel[k * kMicroColumns + column] = steps[k - begin_step];
}

}  // namespace

PackedWeight::PackedWeight(std::int64_t outputs, std::int64_t inputs, std::int64_t steps,
                           bool gated)
    : outputs_(outputs),
      inputs_(inputs),
      steps_(steps),
      gated_(gated),
      panels_(static_cast<std::size_t>(num_panels() * steps * kMicroColumns)) {}
void PackedWeight::allocate_bias() {
  bias_.resize(static_cast<std::size_t>(num_panels() * kMicroColumns));
}
std::int64_t PackedWeight::columns_per_panel() const {
  return gated_ ? kMicroColumns / 2 : kMicroColumns;
}
std::int64_t PackedWeight::num_panels() const {
  return (outputs_ + columns_per_panel() - 1) / columns_per_panel();
}
const std::uint32_t* PackedWeight::panel(std::int64_t index) const {
  return panels_.data() + index * steps_ * kMicroColumns;
}
const float* PackedWeight::bias(std::int64_t panel) const {
  return bias_.empty() ? nullptr : bias_.data() + panel * kMicroColumns;
}

namespace {

/// One of the weights whose outputs share a panel's columns: one, or gate and up.
template <typename Element>
struct Part {
  const Element* weight_OI;
  const Element* bias_O;
};

/// @param bias  of `packed`; written where it has one
template <typename Element>
void fill_panels(std::span<const Part<Element>> parts, const PackedWeight& packed,
                 std::uint32_t* panels, float* bias) {
  const std::int64_t outputs = packed.outputs(), inputs = packed.inputs(), steps = packed.steps();
  const std::int64_t width = packed.columns_per_panel();
  parallel_for_ranges(packed.num_panels(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      std::uint32_t* panel = panels + p * steps * kMicroColumns;
      const auto output = [&](std::int64_t column) { return p * width + column % width; };
      // One cache line of each row at a time.
      for (std::int64_t k = 0; k < steps; k += kCacheLineSteps) {
        for (std::int64_t c = 0; c < kMicroColumns; ++c) {
          const Element* weight = parts[static_cast<std::size_t>(c / width)].weight_OI;
          const Element* row = output(c) < outputs ? weight + output(c) * inputs : nullptr;
          pack_column(row, inputs, k, std::min(steps, k + kCacheLineSteps), c, panel);
        }
      }
      for (std::int64_t c = 0; packed.bias(p) != nullptr && c < kMicroColumns; ++c) {
        const Element* of_part = parts[static_cast<std::size_t>(c / width)].bias_O;
        bias[p * kMicroColumns + c] =
            of_part != nullptr && output(c) < outputs ? widened(of_part[output(c)]) : 0.0f;
      }
    }
  });
}

/// A panel of one of the outputs.
struct PanelOf {
  std::size_t output;
  std::int64_t panel;
};

template <typename Element>
class Gemm {
 public:
  Gemm(const Element* x, std::int64_t x_stride, std::int64_t rows,
       std::span<const GemmOutput<Element>> outputs)
      : x_(x),
        x_stride_(x_stride),
        rows_(rows),
        outputs_(outputs),
        steps_(outputs.front().weight->steps()),
        inputs_(outputs.front().weight->inputs()) {
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      for (std::int64_t p = 0; p < outputs[o].weight->num_panels(); ++p) panels_.push_back({o, p});
    }
    const auto num_panels = static_cast<std::int64_t>(panels_.size());
    const std::int64_t row_blocks = (rows + kBlockRows - 1) / kBlockRows;
    // Few rows: smaller groups, so that all threads have work.
    const std::int64_t wanted_groups =
        (kTasksPerThread * num_threads() + row_blocks - 1) / row_blocks;
    group_ = std::clamp<std::int64_t>(num_panels / wanted_groups, 1, kGroupPanels);
    num_groups_ = (num_panels + group_ - 1) / group_;
    num_tasks_ = row_blocks * num_groups_;
  }

  void run() const {
    parallel_for_dynamic(num_tasks_, [this] {
      const std::int64_t block_steps = std::min(steps_, kBlockSteps);
      const std::int64_t strips =
          steps_ > kBlockSteps ? (std::min(rows_, kBlockRows) + kMicroRows - 1) / kMicroRows : 1;
      auto strip = std::make_unique_for_overwrite<std::uint32_t[]>(
          static_cast<std::size_t>(kMicroRows * strip_stride(block_steps)));
      auto sums = std::make_unique_for_overwrite<float[]>(
          static_cast<std::size_t>(strips * group_ * kTile));
      return [this, strip = std::move(strip), sums = std::move(sums)](std::int64_t task) {
        compute(task % num_groups_ * group_, task / num_groups_ * kBlockRows, strip.get(),
                sums.get());
      };
    });
  }

 private:
  /// Padded, so that the rows of a strip map to different cache sets.
  static std::int64_t strip_stride(std::int64_t block_steps) {
    return block_steps + kCacheLineSteps;
  }

  void compute(std::int64_t first_panel, std::int64_t first_row, std::uint32_t* strip,
               float* sums) const {
    static constexpr float kBetaOne[kMicroRows] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    const std::int64_t end_panel =
        std::min<std::int64_t>(first_panel + group_, static_cast<std::int64_t>(panels_.size()));
    const std::int64_t end_row = std::min(rows_, first_row + kBlockRows);
    for (std::int64_t step = 0; step < steps_; step += kBlockSteps) {
      const std::int64_t steps = std::min(kBlockSteps, steps_ - step);
      const bool last = step + steps == steps_;
      float* sum = sums;
      for (std::int64_t row = first_row; row < end_row; row += kMicroRows) {
        const std::int64_t rows = std::min(kMicroRows, end_row - row);
        const std::int64_t stride = strip_stride(steps);
        load_strip(row, rows, step, steps, strip);
        for (std::int64_t p = first_panel; p < end_panel; ++p, sum += kTile) {
          const PanelOf at = panels_[static_cast<std::size_t>(p)];
          const GemmOutput<Element>& output = outputs_[at.output];
          const std::uint32_t* columns = output.weight->panel(at.panel) + step * kMicroColumns;
          micro_kernel_(strip, stride, columns, kMicroColumns, steps, sum, kMicroColumns, rows,
                        kMicroColumns, step == 0 ? nullptr : kBetaOne);
          if (last) finish(output, at.panel, row, rows, sum);
        }
        if (steps_ <= kBlockSteps) sum = sums;
      }
    }
  }

  void load_strip(std::int64_t row, std::int64_t rows, std::int64_t step, std::int64_t steps,
                  std::uint32_t* strip) const {
    const std::int64_t stride = strip_stride(steps);
    const std::int64_t first = step * kStepInputs<Element>;
    const std::int64_t inputs = std::min(inputs_ - first, steps * kStepInputs<Element>);
    for (std::int64_t r = 0; r < rows; ++r)
      copy_steps(x_ + (row + r) * x_stride_ + first, inputs, strip + r * stride);
  }

  void finish(const GemmOutput<Element>& output, std::int64_t panel, std::int64_t row,
              std::int64_t rows, const float* sum) const {
    const std::int64_t column = panel * output.weight->columns_per_panel();
    EpilogueTile<Element> tile;
    tile.sums = sum;
    tile.bias = output.weight->bias(panel);
    tile.rows = rows;
    tile.columns = std::min(output.weight->columns_per_panel(), output.weight->outputs() - column);
    tile.out = output.out + row * output.row_stride + column;
    tile.row_stride = output.row_stride;
    if (!output.weight->is_gated()) {
      (output.add ? epilogues_.add : epilogues_.store)(tile);
    } else {
      epilogues_.gated[static_cast<std::size_t>(output.gate)](tile);
    }
  }

  const Element* x_;
  std::int64_t x_stride_, rows_;
  std::span<const GemmOutput<Element>> outputs_;
  std::int64_t steps_, inputs_;
  std::vector<PanelOf> panels_;
  std::int64_t group_ = 1, num_groups_ = 0, num_tasks_ = 0;
  MicroKernel micro_kernel_ =
      std::is_same_v<Element, float> ? micro_kernel_f32() : micro_kernel_bf16();
  Epilogues<Element> epilogues_ = epilogues<Element>();
};

}  // namespace

template <typename Element>
PackedWeight PackedWeight::pack(const Element* weight_OI, const Element* bias_O,
                                std::int64_t outputs, std::int64_t inputs) {
  PackedWeight packed(outputs, inputs, steps_of<Element>(inputs), /*gated=*/false);
  if (bias_O != nullptr) packed.allocate_bias();
  const Part<Element> parts[] = {{weight_OI, bias_O}};
  fill_panels<Element>(parts, packed, packed.panels_.data(), packed.bias_.data());
  return packed;
}

template <typename Element>
PackedWeight PackedWeight::pack_gated(const Element* gate_FI, const Element* gate_bias_F,
                                      const Element* up_FI, const Element* up_bias_F,
                                      std::int64_t outputs, std::int64_t inputs) {
  PackedWeight packed(outputs, inputs, steps_of<Element>(inputs), /*gated=*/true);
  if (gate_bias_F != nullptr || up_bias_F != nullptr) packed.allocate_bias();
  const Part<Element> parts[] = {{gate_FI, gate_bias_F}, {up_FI, up_bias_F}};
  fill_panels<Element>(parts, packed, packed.panels_.data(), packed.bias_.data());
  return packed;
}

template <typename Element>
void gemm(const Element* x, std::int64_t x_stride, std::int64_t rows,
          std::span<const GemmOutput<Element>> outputs) {
  if (rows > 0 && !outputs.empty()) Gemm<Element>(x, x_stride, rows, outputs).run();
}

template <typename Element>
PackedWeight PackedWeight::pack_transposed(
    std::span<const std::pair<const Element*, std::int64_t>> weights_OI, std::int64_t inputs) {
  std::vector<const Element*> rows;
  for (const auto& [weight, outputs] : weights_OI) {
    for (std::int64_t o = 0; o < outputs; ++o) rows.push_back(weight + o * inputs);
  }
  std::vector<RowStep<Element>> steps;
  constexpr auto kRows = static_cast<std::size_t>(kStepInputs<Element>);
  for (std::size_t o = 0; o < rows.size(); o += kRows)
    steps.push_back({rows[o], kRows > 1 && o + 1 < rows.size() ? rows[o + 1] : nullptr});
  PackedWeight packed(inputs, std::ssize(rows), std::ssize(steps), /*gated=*/false);
  parallel_for_ranges(packed.num_panels(), 1, [&](std::int64_t begin, std::int64_t end) {
    pack_row_panels<Element>(steps, inputs, begin, end, packed.panels_.data());
  });
  return packed;
}

#define CHARM_GEMM_FOR(Element)                                                                    \
  template PackedWeight PackedWeight::pack<Element>(const Element*, const Element*, std::int64_t,  \
                                                    std::int64_t);                                 \
  template PackedWeight PackedWeight::pack_gated<Element>(                                         \
      const Element*, const Element*, const Element*, const Element*, std::int64_t, std::int64_t); \
  template PackedWeight PackedWeight::pack_transposed<Element>(                                    \
      std::span<const std::pair<const Element*, std::int64_t>>, std::int64_t);                     \
  template void gemm<Element>(const Element*, std::int64_t, std::int64_t,                          \
                              std::span<const GemmOutput<Element>>);
CHARM_GEMM_FOR(float)
CHARM_GEMM_FOR(BFloat16)
#undef CHARM_GEMM_FOR

}  // namespace charm::kernels
