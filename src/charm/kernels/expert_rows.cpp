#include <algorithm>
#include <cstring>
#include <numeric>

#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

constexpr std::int64_t kMinRows = 16;  ///< per thread

/// Experts of one row in ascending order, with their weights.
class RowRouter {
 public:
  explicit RowRouter(const ExpertRouting& routing)
      : routing_(routing),
        order_(static_cast<std::size_t>(routing.num_experts)),
        exps_(static_cast<std::size_t>(routing.num_experts)) {}

  void operator()(const float* logits_X, std::int64_t* experts_k, float* weights_k) {
    const std::int64_t k = routing_.experts_per_token;
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    std::partial_sort(order_.begin(), order_.begin() + k, order_.end(),
                      [&](std::int64_t a, std::int64_t b) {
                        return logits_X[a] != logits_X[b] ? logits_X[a] > logits_X[b] : a < b;
                      });
    std::sort(order_.begin(), order_.begin() + k);
    double sum = softmax_weights(logits_X, routing_.num_experts, /*scale=*/1.0f, exps_.data());
    if (routing_.normalise) {
      sum = 0.0;
      for (std::int64_t j = 0; j < k; ++j) sum += static_cast<double>(exp_of(j));
    }
    for (std::int64_t j = 0; j < k; ++j) {
      experts_k[j] = order_[static_cast<std::size_t>(j)];
      weights_k[j] = static_cast<float>(static_cast<double>(exp_of(j)) / sum);
    }
  }

 private:
  float exp_of(std::int64_t j) const {
    return exps_[static_cast<std::size_t>(order_[static_cast<std::size_t>(j)])];
  }

  const ExpertRouting& routing_;
  std::vector<std::int64_t> order_;
  std::vector<float> exps_;
};

}  // namespace

ExpertRows route(const float* logits_TX, std::int64_t rows, const ExpertRouting& routing) {
  const std::int64_t k = routing.experts_per_token;
  const auto count = static_cast<std::size_t>(rows * k);
  std::vector<std::int64_t> expert_Tk(count);
  ExpertRows experts;
  experts.weights_Tk.resize(count);
  parallel_for_ranges(rows, kMinRows, [&](std::int64_t begin, std::int64_t end) {
    RowRouter route_row(routing);
    for (std::int64_t t = begin; t < end; ++t) {
      route_row(logits_TX + t * routing.num_experts, expert_Tk.data() + t * k,
                experts.weights_Tk.data() + t * k);
    }
  });
  experts.begins_X.resize(static_cast<std::size_t>(routing.num_experts) + 1);
  for (const std::int64_t expert : expert_Tk)
    ++experts.begins_X[static_cast<std::size_t>(expert) + 1];
  std::partial_sum(experts.begins_X.begin(), experts.begins_X.end(), experts.begins_X.begin());
  std::vector<std::int64_t> next(experts.begins_X.begin(), experts.begins_X.end() - 1);
  experts.rows_N.resize(count);
  experts.places_Tk.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t place = next[static_cast<std::size_t>(expert_Tk[i])]++;
    experts.places_Tk[i] = place;
    experts.rows_N[static_cast<std::size_t>(place)] = static_cast<std::int64_t>(i) / k;
  }
  return experts;
}

template <typename Element>
void gather_rows(const Element* x_TD, const ExpertRows& experts, std::int64_t width,
                 Element* out_ND) {
  const auto bytes = static_cast<std::size_t>(width) * sizeof(Element);
  parallel_for_ranges(static_cast<std::int64_t>(experts.rows_N.size()), kMinRows,
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t n = begin; n < end; ++n) {
                          std::memcpy(out_ND + n * width,
                                      x_TD + experts.rows_N[static_cast<std::size_t>(n)] * width,
                                      bytes);
                        }
                      });
}

template <typename Element>
void combine_rows(const Element* y_ND, const ExpertRows& experts, std::int64_t rows,
                  std::int64_t width, bool add, Element* out_TD) {
  if (rows == 0) return;
  const auto k = static_cast<std::int64_t>(experts.places_Tk.size()) / rows;
  parallel_for_ranges(rows, kMinRows, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum_D(static_cast<std::size_t>(width));
    for (std::int64_t t = begin; t < end; ++t) {
      std::fill(sum_D.begin(), sum_D.end(), 0.0f);
      float* sum = sum_D.data();
      for (std::int64_t j = t * k; j < (t + 1) * k; ++j) {
        const float weight = experts.weights_Tk[static_cast<std::size_t>(j)];
        const Element* y = y_ND + experts.places_Tk[static_cast<std::size_t>(j)] * width;
        for (std::int64_t d = 0; d < width; ++d) sum[d] += weight * widened(y[d]);
      }
      Element* out = out_TD + t * width;
      if (add) {
        for (std::int64_t d = 0; d < width; ++d) sum[d] = widened(out[d]) + sum[d];
      }
      for (std::int64_t d = 0; d < width; ++d) narrow_to(sum[d], out[d]);
    }
  });
}

#define CHARM_EXPERT_ROWS_FOR(Element)                                                           \
  template void gather_rows<Element>(const Element*, const ExpertRows&, std::int64_t, Element*); \
  template void combine_rows<Element>(const Element*, const ExpertRows&, std::int64_t,           \
                                      std::int64_t, bool, Element*);
CHARM_EXPERT_ROWS_FOR(float)
CHARM_EXPERT_ROWS_FOR(BFloat16)
#undef CHARM_EXPERT_ROWS_FOR

}  // namespace charm::kernels
