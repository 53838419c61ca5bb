#include "charm/generate/generated_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/records/response.h"

namespace charm::generate {
namespace {

using nlohmann::json;

bool is_blank(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' '; });
}

GenerationResult read_journal_line(const json& line) {
  return {.index = line.at(0).get<std::size_t>(),
          .response = line.at(1).get<std::string>(),
          .finish_reason = line.at(2).get<std::string>(),
          .num_prompt_tokens = line.at(3).get<std::int32_t>(),
          .num_tokens = line.at(4).get<std::int32_t>(),
          .error = {}};
}

}  // namespace

std::vector<GeneratedResponse> pending_rows(const std::vector<Prompt>& prompts,
                                            const GenerateStageOptions& options) {
  std::vector<GeneratedResponse> rows;
  rows.reserve(prompts.size() * static_cast<std::size_t>(options.num_samples));
  for (const Prompt& prompt : prompts) {
    for (std::int32_t sample = 0; sample < options.num_samples; ++sample) {
      GeneratedResponse row;
      row.response.prompt_id = prompt.prompt_id;
      row.response.prompt = prompt.messages;
      row.response.policy = options.policy;
      row.response.sample = sample;
      if (is_blank(prompt.messages.back().content)) row.error = "the prompt is empty";
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

GenerationRequest request_for(const GeneratedResponse& row, std::size_t index,
                              const std::string& system) {
  GenerationRequest request{.index = index,
                            .prompt_id = row.response.prompt_id,
                            .prompt = row.response.prompt,
                            .sample = row.response.sample};
  if (!system.empty() && request.prompt.front().role != "system")
    request.prompt.insert(request.prompt.begin(), {"system", system});
  return request;
}

void set_result(GeneratedResponse& row, GenerationResult result) {
  const auto known = [](std::int32_t count) {
    return count > 0 ? std::optional<std::int32_t>(count) : std::nullopt;
  };
  row.error = std::move(result.error);
  row.num_prompt_tokens = known(result.num_prompt_tokens);
  if (row.error) return;
  row.response.response = std::move(result.response);
  row.response.num_tokens = known(result.num_tokens);
  if (!result.finish_reason.empty()) row.response.finish_reason = std::move(result.finish_reason);
}

json journal_line(const GenerationResult& result) {
  return {result.index, result.response, result.finish_reason, result.num_prompt_tokens,
          result.num_tokens};
}

std::vector<bool> restore(storage::Journal& journal, std::vector<GeneratedResponse>& rows) {
  std::vector<bool> done(rows.size(), false);
  try {
    for (const json& line : journal.take_finished()) {
      GenerationResult result = read_journal_line(line);
      const std::size_t row = result.index;
      set_result(rows.at(row), std::move(result));
      done[row] = true;
    }
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kInput, "{}: does not match the prompts ({}); remove it or use --fresh",
                journal.path().string(), error.what());
  }
  return done;
}

}  // namespace charm::generate
