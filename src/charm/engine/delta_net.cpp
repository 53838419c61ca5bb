#include "charm/engine/delta_net.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "charm/base/check.h"

namespace charm::engine {
namespace {

using Slot = BlockWorkspace::Slot;

}  // namespace

DeltaNetPass::DeltaNetPass(const DeltaNet& net, std::size_t layer, const BatchLayout& layout,
                           BlockWorkspace& workspace, CachedPrefix& prefix)
    : net_(net),
      layer_(layer),
      layout_(layout),
      workspace_(workspace),
      prefix_(prefix),
      next_token_(layout.num_computed_tokens) {
  CHARM_CHECK(layout.cache == nullptr, "a KV cache holds no state of a gated delta net");
  const bool caches = !layout.prefix_to_cache.empty() && layout.prefix_to_cache != prefix.ids;
  if (layout.num_computed_tokens > 0) {
    Sequence computed{.begin = 0, .length = layout.num_computed_tokens};
    computed.state = prefix.states.at(layer);
    sequences_.push_back(std::move(computed));
    current_ = 1;
  }
  std::vector<Segment> segments = layout.prompts;
  segments.insert(segments.end(), layout.responses.begin(), layout.responses.end());
  std::ranges::sort(segments, {}, &Segment::response_begin);
  std::map<std::int64_t, std::int64_t> index_of;  // a sequence's first token -> its index
  if (current_ == 1) index_of.emplace(0, 0);
  for (const Segment& segment : segments) {
    index_of.emplace(segment.response_begin, std::ssize(sequences_));
    Sequence sequence{.begin = segment.response_begin, .length = segment.response_length};
    if (segment.prompt_length > 0) {
      sequence.prompt = index_of.at(segment.prompt_begin);
      ++sequences_[static_cast<std::size_t>(sequence.prompt)].waiting;
    }
    sequence.is_cached = caches && segment.prompt_length == 0 &&
                         segment.response_begin == layout.prefix_to_cache_begin;
    sequences_.push_back(std::move(sequence));
  }
}

void DeltaNetPass::allocate(DeltaState& state, DType dtype) const {
  if (state.recurrent.defined()) return;
  state.recurrent = Tensor::empty({net_.shape.state_size()}, DType::kFloat32);
  state.tail_WC = Tensor::empty({net_.taps - 1, net_.shape.channels()}, dtype);
}

std::vector<DeltaNetPass::Part> DeltaNetPass::next_parts(std::int64_t rows) {
  std::vector<Part> parts;
  const std::int64_t first = next_token_, end = first + rows;
  while (next_token_ < end) {
    Sequence& sequence = sequences_.at(current_);
    CHARM_CHECK(next_token_ >= sequence.begin, "token {} belongs to no sequence", next_token_);
    const std::int64_t sequence_end = sequence.begin + sequence.length;
    const std::int64_t until = std::min(sequence_end, end);
    Part part{.row = next_token_ - first, .length = until - next_token_};
    if (next_token_ > sequence.begin) {
      part.before = &sequence.state;
    } else if (sequence.prompt >= 0) {
      Sequence& prompt = sequences_[static_cast<std::size_t>(sequence.prompt)];
      part.before = &prompt.state;
      --prompt.waiting;
      done_.push_back(static_cast<std::size_t>(sequence.prompt));
    }
    if (until < sequence_end || sequence.outlives_rows()) part.after = &sequence.state;
    parts.push_back(part);
    next_token_ = until;
    if (until < sequence_end) break;
    done_.push_back(current_++);
  }
  return parts;
}

void DeltaNetPass::release() {
  for (const std::size_t index : done_) {
    if (!sequences_[index].outlives_rows()) sequences_[index].state = {};
  }
  done_.clear();
}

template <typename Element>
void DeltaNetPass::mix(const Tensor& x_TD, std::span<const Part> parts, Tensor& out_TV) {
  const kernels::DeltaShape& shape = net_.shape;
  const std::int64_t rows = x_TD.rows(), channels = shape.channels(), heads = shape.value_heads;
  const auto take = [&](Slot slot, std::int64_t width) {
    return workspace_.take(slot, rows, width, x_TD.dtype());
  };
  const auto take_float32 = [&](Slot slot, std::int64_t width) {
    return workspace_.take(slot, rows, width, DType::kFloat32);
  };
  const Tensor qkv = take(Slot::kChannels, channels), z = take(Slot::kOutputGate, shape.values());
  const Tensor b = take(Slot::kBetaInput, heads), a = take(Slot::kDecayInput, heads);
  const Projection to[] = {{&net_.qkv, qkv}, {&net_.z, z}, {&net_.b, b}, {&net_.a, a}};
  project(x_TD, to);

  std::vector<kernels::ConvSpan<Element>> conv;
  std::vector<kernels::DeltaSpan> spans;
  for (const Part& part : parts) {
    if (part.after != nullptr) allocate(*part.after, x_TD.dtype());
    conv.push_back({.begin = part.row, .length = part.length});
    spans.push_back({.begin = part.row, .length = part.length});
    if (part.before != nullptr) {
      conv.back().before = part.before->tail_WC.template data<Element>();
      spans.back().before = part.before->recurrent.data<float>();
    }
    if (part.after != nullptr) {
      conv.back().after = part.after->tail_WC.template mutable_data<Element>();
      spans.back().after = part.after->recurrent.mutable_data<float>();
    }
  }
  Tensor mixed = take_float32(Slot::kConvolved, channels);
  auto* q = mixed.mutable_data<float>();
  kernels::causal_conv_silu<Element>(qkv.data<Element>(), conv, net_.conv_WC.data<float>(),
                                     net_.taps, channels, q);
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.key_dim)));
  kernels::l2_normalize(q, rows, channels, shape.key_heads, shape.key_dim, scale);
  kernels::l2_normalize(q + shape.keys(), rows, channels, shape.key_heads, shape.key_dim, 1.0F);
  Tensor decay = take_float32(Slot::kDecays, heads), beta = take_float32(Slot::kBetas, heads);
  kernels::delta_gates<Element>(a.data<Element>(), b.data<Element>(), net_.rate_L.data<float>(),
                                net_.bias_L.data<float>(), rows, heads, decay.mutable_data<float>(),
                                beta.mutable_data<float>());
  Tensor read = take_float32(Slot::kRead, shape.values());
  kernels::gated_delta_rule(q, decay.data<float>(), beta.data<float>(), spans, shape,
                            read.mutable_data<float>());
  kernels::gated_rms_norm<Element>(read.data<float>(), z.data<Element>(), net_.norm_U.data<float>(),
                                   net_.eps, rows * heads, shape.value_dim,
                                   out_TV.mutable_data<Element>());
}

Tensor DeltaNetPass::forward(const Tensor& x_TD) {
  const std::vector<Part> parts = next_parts(x_TD.rows());
  Tensor out_TV = workspace_.take(Slot::kAttended, x_TD.rows(), net_.shape.values(), x_TD.dtype());
  call_for_dtype(x_TD, [&](auto element) { mix<decltype(element)>(x_TD, parts, out_TV); });
  release();
  return out_TV;
}

void DeltaNetPass::finish() {
  for (const Sequence& sequence : sequences_) {
    if (!sequence.is_cached) continue;
    prefix_.states.resize(std::max(prefix_.states.size(), layer_ + 1));
    prefix_.states[layer_] = sequence.state;
  }
}

}  // namespace charm::engine
