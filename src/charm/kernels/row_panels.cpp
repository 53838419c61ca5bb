#include "charm/kernels/row_panels.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "charm/kernels/micro_kernel.h"
#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/row_panels.cpp"
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

/// One step of one panel; `second` is null for float32 and for the last row of an odd run.
void pack_step(const float* first, const float*, std::int64_t columns, std::uint32_t* to) {
  std::memcpy(to, first, static_cast<std::size_t>(columns) * sizeof(float));
}
void pack_step(const BFloat16* first, const BFloat16* second, std::int64_t columns,
               std::uint32_t* to) {
  HWY_DYNAMIC_DISPATCH(interleave_row)
  (reinterpret_cast<const std::uint16_t*>(first), reinterpret_cast<const std::uint16_t*>(second),
   columns, to);
}

}  // namespace

template <typename Element>
void internal::pack_row_panels(std::span<const RowStep<Element>> steps, std::int64_t columns,
                               std::int64_t first_panel, std::int64_t end_panel,
                               std::uint32_t* panels) {
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
  std::vector<internal::RowStep<Element>> steps;
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
    internal::pack_row_panels<Element>(steps, columns, begin, end, memory.data());
  });
  return packed;
}

#define CHARM_ROW_PANELS_FOR(Element)                                                        \
  template void internal::pack_row_panels<Element>(std::span<const RowStep<Element>>,        \
                                                   std::int64_t, std::int64_t, std::int64_t, \
                                                   std::uint32_t*);                          \
  template RowPanels RowPanels::pack<Element>(const Element*, std::int64_t, std::int64_t,    \
                                              std::span<const RowRun>, HugePageBuffer&);
CHARM_ROW_PANELS_FOR(float)
CHARM_ROW_PANELS_FOR(BFloat16)
#undef CHARM_ROW_PANELS_FOR

}  // namespace charm::kernels
#endif
