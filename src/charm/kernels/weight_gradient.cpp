#include "charm/kernels/weight_gradient.h"

#include <algorithm>
#include <array>
#include <vector>

#include "charm/base/check.h"
#include "charm/kernels/micro_kernel.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
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

}  // namespace charm::kernels
