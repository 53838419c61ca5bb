#include "charm/torch/varlen.h"

#include <algorithm>
#include <utility>

#include "charm/base/check.h"
#include "charm/torch/host_copy.h"

namespace charm::torch {
namespace {

void append_rows(const VarlenSequence& sequence, std::vector<std::int64_t>& rows) {
  for (const kernels::KeySpan& span : sequence.keys) {
    for (std::int64_t i = 0; i < span.length; ++i) rows.push_back(span.begin + i);
  }
}

/// Query rows `begin` .. `end` of a sequence, with the keys that they attend to.
VarlenSequence rows_between(const VarlenSequence& sequence, std::int64_t begin, std::int64_t end) {
  VarlenSequence part{sequence.query_begin + begin, end - begin, {}};
  std::int64_t left = sequence.num_keys() - (sequence.query_length - end);
  for (kernels::KeySpan span : sequence.keys) {
    span.length = std::min(span.length, left);
    left -= span.length;
    if (span.length > 0) part.keys.push_back(span);
  }
  return part;
}

std::int64_t area(const VarlenSequence& sequence) {
  return sequence.query_length * sequence.num_keys();
}

PaddedPart pad(std::span<const VarlenSequence> sequences, const at::Device& device) {
  PaddedPart part;
  part.num_sequences = static_cast<std::int64_t>(sequences.size());
  for (const VarlenSequence& s : sequences) {
    part.query_length = std::max(part.query_length, s.query_length);
    part.num_keys = std::max(part.num_keys, s.num_keys());
  }
  std::vector<std::int64_t> query_rows, key_rows, num_visible, padded_rows, out_rows;
  for (const VarlenSequence& s : sequences) {
    const std::int64_t keys = s.num_keys();
    for (std::int64_t row = 0; row < part.query_length; ++row) {
      const bool real = row < s.query_length;
      if (real) {
        padded_rows.push_back(static_cast<std::int64_t>(query_rows.size()));
        out_rows.push_back(s.query_begin + row);
      }
      query_rows.push_back(s.query_begin + (real ? row : 0));
      num_visible.push_back(real ? keys - (s.query_length - 1 - row) : 1);
    }
    append_rows(s, key_rows);
    key_rows.insert(key_rows.end(), static_cast<std::size_t>(part.num_keys - keys),
                    s.keys.front().begin);
  }
  part.query_rows = to_device(query_rows, device);
  part.key_rows = to_device(key_rows, device);
  part.num_visible_SR =
      to_device(num_visible, device).view({part.num_sequences, part.query_length});
  part.padded_rows_N = to_device(padded_rows, device);
  part.out_rows_N = to_device(out_rows, device);
  return part;
}

}  // namespace

std::int64_t VarlenSequence::num_keys() const {
  std::int64_t count = 0;
  for (const kernels::KeySpan& span : keys) count += span.length;
  return count;
}

std::vector<VarlenPart> plan_varlen(std::span<const VarlenSequence> sequences,
                                    std::int64_t max_key_rows, const at::Device& device) {
  std::vector<VarlenPart> parts;
  std::vector<std::int32_t> cu_seqlens_q, cu_seqlens_k;
  std::vector<std::int64_t> key_rows;
  const auto close = [&] {
    if (parts.empty()) return;
    parts.back().cu_seqlens_q_S = to_device(cu_seqlens_q, device);
    parts.back().cu_seqlens_k_S = to_device(cu_seqlens_k, device);
    parts.back().key_rows_G = to_device(key_rows, device);
  };
  for (const VarlenSequence& s : sequences) {
    const std::int64_t keys = s.num_keys();
    CHARM_CHECK(s.query_length > 0 && keys >= s.query_length, "{} query rows with {} keys",
                s.query_length, keys);
    if (parts.empty() || static_cast<std::int64_t>(key_rows.size()) + keys > max_key_rows) {
      close();
      parts.emplace_back().query_begin = s.query_begin;
      cu_seqlens_q = cu_seqlens_k = {0};
      key_rows.clear();
    }
    VarlenPart& part = parts.back();
    CHARM_CHECK(s.query_begin == part.query_begin + part.query_rows,
                "query rows of the sequences are not contiguous");
    part.query_rows += s.query_length;
    part.max_query = std::max(part.max_query, s.query_length);
    part.max_keys = std::max(part.max_keys, keys);
    append_rows(s, key_rows);
    cu_seqlens_q.push_back(static_cast<std::int32_t>(part.query_rows));
    cu_seqlens_k.push_back(static_cast<std::int32_t>(key_rows.size()));
  }
  close();
  return parts;
}

std::vector<PaddedPart> plan_padded(std::span<const VarlenSequence> sequences,
                                    std::int64_t max_area, const at::Device& device) {
  std::vector<VarlenSequence> chunks;
  for (const VarlenSequence& s : sequences) {
    const std::int64_t rows = std::max<std::int64_t>(1, max_area / s.num_keys());
    for (std::int64_t row = 0; row < s.query_length; row += rows) {
      chunks.push_back(rows_between(s, row, std::min(row + rows, s.query_length)));
    }
  }
  std::stable_sort(
      chunks.begin(), chunks.end(), [](const VarlenSequence& a, const VarlenSequence& b) {
        return std::pair(a.query_length, a.num_keys()) > std::pair(b.query_length, b.num_keys());
      });
  std::vector<PaddedPart> parts;
  std::size_t begin = 0;
  std::int64_t needed = 0, longest = 0;
  for (std::size_t i = 0; i <= chunks.size(); ++i) {
    if (i > begin) {
      const std::int64_t keys = i < chunks.size() ? std::max(longest, chunks[i].num_keys()) : 0;
      const std::int64_t padded =
          static_cast<std::int64_t>(i - begin + 1) * chunks[begin].query_length * keys;
      if (i == chunks.size() || padded > max_area || padded > 2 * (needed + area(chunks[i]))) {
        parts.push_back(pad(std::span(chunks).subspan(begin, i - begin), device));
        begin = i;
        needed = longest = 0;
      }
    }
    if (i == chunks.size()) break;
    needed += area(chunks[i]);
    longest = std::max(longest, chunks[i].num_keys());
  }
  return parts;
}

}  // namespace charm::torch
