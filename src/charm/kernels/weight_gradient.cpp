#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <vector>

#include "charm/base/check.h"
#include "charm/kernels/gemm.h"
#include "charm/kernels/micro_kernel.h"
#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/weight_gradient.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// to[c] = low[c] | high[c] << 16; a null `high` means 0.
void interleave_row(const std::uint16_t* low, const std::uint16_t* high, std::int64_t columns,
                    std::uint32_t* to) {
  const hn::ScalableTag<std::uint32_t> u32;
  const hn::Rebind<std::uint16_t, decltype(u32)> u16;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(u32));
  std::int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) {
    auto words = hn::PromoteTo(u32, hn::LoadU(u16, low + c));
    if (high != nullptr)
      words = hn::Or(words, hn::ShiftLeft<16>(hn::PromoteTo(u32, hn::LoadU(u16, high + c))));
    hn::StoreU(words, u32, to + c);
  }
  for (; c < columns; ++c) {
    to[c] = low[c] | (high != nullptr ? static_cast<std::uint32_t>(high[c]) << 16 : 0u);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(interleave_row);

namespace {

constexpr std::int64_t kMinPanels = 1;  ///< per thread

}  // namespace

void pack_step(const float* first, const float*, std::int64_t columns, std::uint32_t* to) {
  std::memcpy(to, first, static_cast<std::size_t>(columns) * sizeof(float));
}
void pack_step(const BFloat16* first, const BFloat16* second, std::int64_t columns,
               std::uint32_t* to) {
  HWY_DYNAMIC_DISPATCH(interleave_row)
  (reinterpret_cast<const std::uint16_t*>(first), reinterpret_cast<const std::uint16_t*>(second),
   columns, to);
}

template <typename Element>
void pack_row_panels(std::span<const RowStep<Element>> steps, std::int64_t columns,
                     std::int64_t first_panel, std::int64_t end_panel, std::uint32_t* panels) {
  const auto num_steps = static_cast<std::int64_t>(steps.size());
  for (std::int64_t k = 0; k < num_steps; ++k) {
    const RowStep<Element>& step = steps[static_cast<std::size_t>(k)];
    for (std::int64_t p = first_panel; p < end_panel; ++p) {
      const std::int64_t column = p * kMicroColumns;
      const std::int64_t width = std::min(kMicroColumns, columns - column);
      std::uint32_t* to = panels + (p * num_steps + k) * kMicroColumns;
      pack_step(step.first + column, step.second == nullptr ? nullptr : step.second + column, width,
                to);
      if (width < kMicroColumns) std::fill(to + width, to + kMicroColumns, 0u);
    }
  }
}

std::int64_t RowPanels::num_panels() const {
  return (columns_ + kMicroColumns - 1) / kMicroColumns;
}

const std::uint32_t* RowPanels::panel(std::int64_t index) const {
  return panels_ + index * steps_ * kMicroColumns;
}

template <typename Element>
RowPanels RowPanels::pack(const Element* x, std::int64_t row_stride, std::int64_t columns,
                          std::span<const RowRun> runs, HugePageBuffer& memory) {
  constexpr bool kPairs = !std::is_same_v<Element, float>;
  constexpr std::int64_t kRows = kPairs ? 2 : 1;
  std::vector<RowStep<Element>> steps;
  for (const RowRun& run : runs) {
    for (std::int64_t row = 0; row < run.length; row += kRows) {
      const Element* first = x + (run.begin + row) * row_stride;
      steps.push_back({first, kPairs && row + 1 < run.length ? first + row_stride : nullptr});
    }
  }
  RowPanels packed;
  packed.columns_ = columns;
  packed.pairs_ = kPairs;
  packed.steps_ = static_cast<std::int64_t>(steps.size());
  const auto words = static_cast<std::size_t>(packed.num_panels() * packed.steps_ * kMicroColumns);
  if (memory.size() < words) memory = HugePageBuffer(words);
  packed.panels_ = memory.data();
  parallel_for_ranges(packed.num_panels(), kMinPanels, [&](std::int64_t begin, std::int64_t end) {
    pack_row_panels<Element>(steps, columns, begin, end, memory.data());
  });
  return packed;
}

namespace {

// They do not affect the result.
constexpr std::int64_t kBlockSteps = 512;  ///< K block, at most
constexpr std::int64_t kGroupPanels = 6;   ///< panels of x of one task, at most
constexpr std::int64_t kTasksPerThread = 4;

/// One task: 64 outputs of a layer by some panels of inputs.
struct Task {
  const WeightGradient* layer;
  std::int64_t output_panel;
  std::int64_t first_panel, end_panel;  ///< of x
};

constexpr std::array<float, kMicroRows> kBetaOne = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};

class WeightGradientProduct {
 public:
  explicit WeightGradientProduct(const RowPanels& x)
      : x_(x),
        micro_kernel_(x.pairs() ? micro_kernel_bf16(Operand::kSteps)
                                : micro_kernel_f32(Operand::kSteps)) {
    const std::int64_t blocks = (x.steps() + kBlockSteps - 1) / kBlockSteps;
    block_steps_ = (x.steps() + blocks - 1) / blocks;
  }

  void operator()(const Task& task) const {
    const RowPanels& dy = *task.layer->dy;
    const std::int64_t first_row = task.output_panel * kMicroColumns;
    const std::int64_t end_row = std::min(dy.columns(), first_row + kMicroColumns);
    for (std::int64_t step = 0; step < x_.steps(); step += block_steps_) {
      const std::int64_t steps = std::min(block_steps_, x_.steps() - step);
      const std::uint32_t* a = dy.panel(task.output_panel) + step * kMicroColumns;
      for (std::int64_t row = first_row; row < end_row; row += kMicroRows) {
        const std::int64_t rows = std::min(kMicroRows, end_row - row);
        float* out = task.layer->gradient_OI + row * x_.columns();
        for (std::int64_t p = task.first_panel; p < task.end_panel; ++p)
          add_tile(a + row - first_row, x_.panel(p) + step * kMicroColumns, steps, rows, p, out);
      }
    }
  }

 private:
  /// Rows `rows` of the gradient, from `out` on, by the columns of panel `p`.
  void add_tile(const std::uint32_t* a, const std::uint32_t* b, std::int64_t steps,
                std::int64_t rows, std::int64_t p, float* out) const {
    const std::int64_t column = p * kMicroColumns;
    const std::int64_t width = std::min(kMicroColumns, x_.columns() - column);
    if (width == kMicroColumns) {
      micro_kernel_(a, kMicroColumns, b, kMicroColumns, steps, out + column, x_.columns(), rows,
                    kMicroColumns, kBetaOne.data());
      return;
    }
    float tile[kMicroRows * kMicroColumns] = {};
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(out + r * x_.columns() + column, width, tile + r * kMicroColumns);
    micro_kernel_(a, kMicroColumns, b, kMicroColumns, steps, tile, kMicroColumns, rows,
                  kMicroColumns, kBetaOne.data());
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(tile + r * kMicroColumns, width, out + r * x_.columns() + column);
  }

  const RowPanels& x_;
  MicroKernel micro_kernel_;
  std::int64_t block_steps_ = 1;
};

}  // namespace

void add_weight_gradients(std::span<const WeightGradient> layers, const RowPanels& x) {
  if (x.steps() == 0) return;
  std::int64_t output_panels = 0;
  for (const WeightGradient& layer : layers) {
    CHARM_CHECK(layer.dy->steps() == x.steps() && layer.dy->pairs() == x.pairs(),
                "{} steps of dY for {} of X", layer.dy->steps(), x.steps());
    output_panels += layer.dy->num_panels();
  }
  if (output_panels == 0) return;
  const std::int64_t wanted = (kTasksPerThread * num_threads() + output_panels - 1) / output_panels;
  const std::int64_t group = std::clamp<std::int64_t>(x.num_panels() / wanted, 1, kGroupPanels);
  std::vector<Task> tasks;
  for (const WeightGradient& layer : layers) {
    for (std::int64_t first = 0; first < x.num_panels(); first += group) {
      for (std::int64_t output = 0; output < layer.dy->num_panels(); ++output)
        tasks.push_back({&layer, output, first, std::min(x.num_panels(), first + group)});
    }
  }
  const WeightGradientProduct product(x);
  parallel_for_dynamic(static_cast<std::int64_t>(tasks.size()), [&] {
    return [&](std::int64_t task) { product(tasks[static_cast<std::size_t>(task)]); };
  });
}

#define CHARM_ROW_PANELS_FOR(Element)                                                     \
  template void pack_row_panels<Element>(std::span<const RowStep<Element>>, std::int64_t, \
                                         std::int64_t, std::int64_t, std::uint32_t*);     \
  template RowPanels RowPanels::pack<Element>(const Element*, std::int64_t, std::int64_t, \
                                              std::span<const RowRun>, HugePageBuffer&);
CHARM_ROW_PANELS_FOR(float)
CHARM_ROW_PANELS_FOR(BFloat16)
#undef CHARM_ROW_PANELS_FOR

}  // namespace charm::kernels
#endif
