#include "charm/prepare/text_overlap.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <unordered_map>

#include "charm/base/random.h"
#include "charm/records/response.h"

namespace charm::prepare {
namespace {

constexpr std::size_t kCharacterNgram = 5;
constexpr std::size_t kWordNgram = 8;
constexpr std::size_t kBands = 16;
constexpr std::size_t kRowsPerBand = 5;

/// FNV-1a with the finalizer of SplitMix64: well distributed and platform-independent.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

void sort_unique(std::vector<std::uint64_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

std::size_t code_point_length(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/// Start of each code point, and the end.
std::vector<std::size_t> code_point_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < text.size();) {
    starts.push_back(at);
    at = std::min(text.size(), at + code_point_length(static_cast<unsigned char>(text[at])));
  }
  starts.push_back(text.size());
  return starts;
}

/// Scripts without spaces between words: CJK symbols, kana, ideographs, Hangul (U+2E80 to U+D7FF)
/// and beyond the basic plane U+20000 up.
bool is_single_word(std::string_view character) {
  if (character.size() == 3) return character >= "\xE2\xBA\x80" && character <= "\xED\x9F\xBF";
  return character.size() == 4 && character >= "\xF0\xA0\x80\x80";
}

std::vector<std::string_view> words_of(std::string_view normalized) {
  std::vector<std::string_view> words;
  const std::vector<std::size_t> starts = code_point_starts(normalized);
  std::size_t begin = 0;
  const auto close = [&](std::size_t end) {
    if (end > begin) words.push_back(normalized.substr(begin, end - begin));
  };
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    const std::string_view character = normalized.substr(starts[i], starts[i + 1] - starts[i]);
    if (character == " ") {
      close(starts[i]);
      begin = starts[i + 1];
    } else if (is_single_word(character)) {
      close(starts[i]);
      words.push_back(character);
      begin = starts[i + 1];
    }
  }
  close(normalized.size());
  return words;
}

using Bands = std::array<std::uint64_t, kBands>;

/// MinHash signatures: the minimum of kBands * kRowsPerBand hash functions over the n-grams, hashed
/// per band of kRowsPerBand.
class Signatures {
 public:
  Signatures() {
    RandomStream random(0x6368617261637465ULL, "prepare.minhash");
    for (auto& multiplier : multipliers_) multiplier = random() | 1U;
    for (auto& offset : offsets_) offset = random();
  }

  Bands of(std::span<const std::uint64_t> ngrams) const {
    Bands bands{};
    for (std::size_t band = 0; band < kBands; ++band) {
      std::uint64_t key = band;
      for (std::size_t row = 0; row < kRowsPerBand; ++row) {
        const std::size_t function = band * kRowsPerBand + row;
        std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
        for (const std::uint64_t ngram : ngrams) {
          std::uint64_t value = ngram * multipliers_[function] + offsets_[function];
          value ^= value >> 32;  // the low bits of a product depend on few bits of the input
          least = std::min(least, value);
        }
        key = (key ^ least) * 0x9e3779b97f4a7c15ULL;
        key ^= key >> 29;
      }
      bands[band] = key;
    }
    return bands;
  }

 private:
  std::array<std::uint64_t, kBands * kRowsPerBand> multipliers_{};
  std::array<std::uint64_t, kBands * kRowsPerBand> offsets_{};
};

std::string first_user_turn(const Conversation& prompt) {
  const auto user = std::find_if(prompt.begin(), prompt.end(),
                                 [](const Message& message) { return message.role == "user"; });
  return user == prompt.end() ? "" : normalized_text(user->content);
}

}  // namespace

std::string normalized_text(std::string_view text) {
  std::string normalized;
  bool space_pending = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte >= 0x80;
    if (!letter) {
      space_pending = !normalized.empty();
      continue;
    }
    if (space_pending) normalized += ' ';
    space_pending = false;
    normalized += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : c;
  }
  return normalized;
}

std::string normalized_prompt(const Conversation& prompt) {
  std::string normalized;
  for (const Message& message : prompt) {
    if (message.role == "system") continue;
    const std::string turn = normalized_text(message.content);
    if (!normalized.empty() && !turn.empty()) normalized += ' ';
    normalized += turn;
  }
  return normalized;
}

std::vector<std::uint64_t> character_ngrams(std::string_view normalized) {
  const std::vector<std::size_t> starts = code_point_starts(normalized);
  const std::size_t length = starts.size() - 1;
  std::vector<std::uint64_t> ngrams;
  if (length < kCharacterNgram) return {hash_of(normalized)};
  for (std::size_t i = 0; i + kCharacterNgram <= length; ++i)
    ngrams.push_back(
        hash_of(normalized.substr(starts[i], starts[i + kCharacterNgram] - starts[i])));
  sort_unique(ngrams);
  return ngrams;
}

std::vector<std::uint64_t> word_ngrams(std::string_view normalized) {
  const std::vector<std::string_view> words = words_of(normalized);
  std::vector<std::uint64_t> ngrams;
  for (std::size_t i = 0; i + kWordNgram <= words.size(); ++i) {
    std::uint64_t ngram = 0;
    for (std::size_t w = i; w < i + kWordNgram; ++w)
      ngram = ngram * 0x100000001b3ULL + hash_of(words[w]);
    ngrams.push_back(ngram);
  }
  sort_unique(ngrams);
  return ngrams;
}

double jaccard(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  std::size_t common = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) {
      ++common;
      ++i;
      ++j;
    } else if (a[i] < b[j]) {
      ++i;
    } else {
      ++j;
    }
  }
  const std::size_t both = a.size() + b.size() - common;
  return both == 0 ? 1.0 : static_cast<double>(common) / static_cast<double>(both);
}

std::vector<bool> find_near_duplicates(std::span<const Prompt> prompts, double threshold) {
  const Signatures signatures;
  std::vector<std::unordered_map<std::uint64_t, std::vector<std::uint32_t>>> kept(kBands);
  std::vector<bool> duplicate(prompts.size(), false);
  std::vector<std::uint32_t> candidates;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<std::uint64_t> ngrams =
        character_ngrams(normalized_prompt(prompts[i].messages));
    const Bands bands = signatures.of(ngrams);
    candidates.clear();
    for (std::size_t band = 0; band < kBands; ++band) {
      const auto bucket = kept[band].find(bands[band]);
      if (bucket != kept[band].end())
        candidates.insert(candidates.end(), bucket->second.begin(), bucket->second.end());
    }
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    // Recomputes the n-grams of kept prompts: storing them would take more memory than the prompts.
    duplicate[i] = std::any_of(candidates.begin(), candidates.end(), [&](std::uint32_t earlier) {
      return jaccard(ngrams, character_ngrams(normalized_prompt(prompts[earlier].messages))) >=
             threshold;
    });
    if (duplicate[i]) continue;
    for (std::size_t band = 0; band < kBands; ++band)
      kept[band][bands[band]].push_back(static_cast<std::uint32_t>(i));
  }
  return duplicate;
}

BenchmarkIndex::BenchmarkIndex(std::span<const Prompt> benchmark) {
  const auto by_hash = [](const Entry& a, const Entry& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.benchmark < b.benchmark;
  };
  for (std::size_t b = 0; b < benchmark.size(); ++b) {
    const auto number = static_cast<std::uint32_t>(b);
    const std::string normalized = normalized_prompt(benchmark[b].messages);
    const std::vector<std::uint64_t> ngrams = word_ngrams(normalized);
    texts_.push_back({hash_of(normalized), number});
    texts_.push_back({hash_of(first_user_turn(benchmark[b].messages)), number});
    for (const std::uint64_t ngram : ngrams) ngrams_.push_back({ngram, number});
    num_ngrams_.push_back(ngrams.size());
  }
  std::sort(texts_.begin(), texts_.end(), by_hash);
  std::sort(ngrams_.begin(), ngrams_.end(), by_hash);
}

std::optional<Overlap> BenchmarkIndex::find(const Conversation& prompt, double threshold) const {
  const auto first_of = [](const std::vector<Entry>& entries, std::uint64_t hash) {
    return std::lower_bound(
        entries.begin(), entries.end(), hash,
        [](const Entry& entry, std::uint64_t value) { return entry.hash < value; });
  };
  const std::string normalized = normalized_prompt(prompt);
  for (const std::string& text : {normalized, first_user_turn(prompt)}) {
    const auto found = first_of(texts_, hash_of(text));
    if (!text.empty() && found != texts_.end() && found->hash == hash_of(text))
      return Overlap{.benchmark = found->benchmark, .share = 1.0};
  }
  const std::vector<std::uint64_t> ngrams = word_ngrams(normalized);
  std::map<std::uint32_t, std::size_t> shared;
  for (const std::uint64_t ngram : ngrams) {
    for (auto entry = first_of(ngrams_, ngram); entry != ngrams_.end() && entry->hash == ngram;
         ++entry)
      ++shared[entry->benchmark];
  }
  std::optional<Overlap> best;
  for (const auto& [benchmark, count] : shared) {
    const double share = static_cast<double>(count) /
                         static_cast<double>(std::min(ngrams.size(), num_ngrams_[benchmark]));
    if (share >= threshold && (!best || share > best->share))
      best = Overlap{.benchmark = benchmark, .share = share};
  }
  return best;
}

}  // namespace charm::prepare
