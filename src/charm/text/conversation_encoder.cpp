#include "charm/text/conversation_encoder.h"

#include <algorithm>
#include <utility>

#include "charm/base/error.h"
#include "charm/text/text_pair.h"

namespace charm::text {
namespace {

// The tokens that the tokenizer's post-processor prepends (BOS). tokenizer_config.json's
// add_bos_token has no effect beside a tokenizer.json, as in transformers 5 (decision 0002).
// Appended tokens (EOS) are left to the template.
std::vector<std::int32_t> find_leading_ids(const Tokenizer& tokenizer) {
  const std::vector<std::int32_t> plain = tokenizer.encode("a", AddSpecialTokens::kNo);
  const std::vector<std::int32_t> with_special = tokenizer.encode("a", AddSpecialTokens::kYes);
  const auto text_begin =
      std::search(with_special.begin(), with_special.end(), plain.begin(), plain.end());
  std::vector<std::int32_t> leading;
  if (text_begin != with_special.end()) leading.assign(with_special.begin(), text_begin);
  return leading;
}

}  // namespace

ConversationEncoder::ConversationEncoder(const std::filesystem::path& model_dir,
                                         EncoderOptions options)
    : options_(std::move(options)),
      max_tokens_(options_.max_tokens.value_or(kDefaultMaxTokens)),
      tokenizer_(std::make_unique<Tokenizer>(Tokenizer::load(model_dir))) {
  const std::filesystem::path& template_folder =
      options_.template_folder.empty() ? model_dir : options_.template_folder;
  if (options_.text_pairs) {
    texts_ = std::make_shared<const TextPair>(TextPair::load(model_dir));
    encodes_pairs_ = !options_.template_file && !has_chat_template(template_folder);
  }
  template_ = std::make_unique<ChatTemplate>(
      encodes_pairs_ ? ChatTemplate::from_source(texts_->source(), {}, options_.template_date,
                                                 "none: prompt and response are a pair of texts")
                     : ChatTemplate::load(model_dir, options_.template_file, options_.template_date,
                                          options_.template_kwargs, template_folder));
  if (options_.bos == BosPolicy::kOnce) {
    leading_ids_ = find_leading_ids(*tokenizer_);
  }
  if (!texts_) response_header_ = find_response_header();
}

std::string ConversationEncoder::find_response_header() const {
  const std::string text = "charm";
  try {
    const std::string prompt = template_->render({{"user", text}}, GenerationPrompt::kYes);
    const std::size_t begin = prompt.rfind(text);
    return begin == std::string::npos ? "" : prompt.substr(begin + text.size());
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    return "";  // the template rejects a single user turn
  }
}

bool ConversationEncoder::writes_source_of_parts() const {
  const Message text{"user", "charm"};
  const Message parts{"user", "charm", R"({"content":[{"type":"text","text":"charm"}]})"};
  try {
    return template_->render(Conversation{text}, GenerationPrompt::kNo) !=
           template_->render(Conversation{parts}, GenerationPrompt::kNo);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    return false;  // it refuses them, or a user's turn alone
  }
}

EncodedRow ConversationEncoder::encode_rendered(const std::string& rendered) const {
  EncodedRow row;
  try {
    const std::size_t header =
        response_header_.empty() ? std::string::npos : rendered.rfind(response_header_);
    std::vector<std::int32_t> prompt_ids;
    if (header != std::string::npos)
      prompt_ids = tokenize(rendered.substr(0, header + response_header_.size()));
    row.tokens = finish_rendered(rendered, prompt_ids);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    row.error = e.message();
  }
  return row;
}

EncodedConversation ConversationEncoder::encode(const Conversation& prompt,
                                                const Message& response) const {
  return finish(prompt, response, prompt_ids(prompt));
}

EncodedConversation ConversationEncoder::encode(const Conversation& prompt,
                                                std::string_view response) const {
  return encode(prompt, Message{"assistant", std::string(response)});
}

std::vector<std::int32_t> ConversationEncoder::encode_prompt(const Conversation& prompt) const {
  std::vector<std::int32_t> ids = tokenize(template_->render(prompt, GenerationPrompt::kYes));
  if (ids.empty()) {
    throw Error(ErrorKind::kInput, "{}: the template renders this conversation to nothing",
                template_->name());
  }
  return ids;
}

EncodedRow ConversationEncoder::encode_row(const Conversation& prompt,
                                           std::span<const std::int32_t> prompt_ids,
                                           const Message& response) const {
  EncodedRow row;
  try {
    row.tokens = finish(prompt, response, prompt_ids);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    row.error = e.message();
  }
  return row;
}

std::vector<std::int32_t> ConversationEncoder::tokenize(const std::string& rendered) const {
  if (options_.bos == BosPolicy::kAsTemplate)
    return tokenizer_->encode(rendered, AddSpecialTokens::kYes);
  std::vector<std::int32_t> ids = tokenizer_->encode(rendered, AddSpecialTokens::kNo);
  // Only the start counts: a BOS further inside is content.
  const auto bos = template_->special_tokens().find("bos_token");
  const bool written_as_text = bos != template_->special_tokens().end() && !bos->second.empty() &&
                               rendered.starts_with(bos->second);
  const bool written_as_ids = ids.size() >= leading_ids_.size() &&
                              std::equal(leading_ids_.begin(), leading_ids_.end(), ids.begin());
  if (!written_as_text && !written_as_ids)
    ids.insert(ids.begin(), leading_ids_.begin(), leading_ids_.end());
  return ids;
}

std::vector<std::int32_t> ConversationEncoder::prompt_ids(const Conversation& prompt) const {
  try {
    if (encodes_pairs_) return tokenizer_->encode(pair_prompt(prompt), AddSpecialTokens::kNo);
    return tokenize(template_->render(prompt, GenerationPrompt::kYes));
  } catch (const Error& e) {
    // Some templates reject a conversation without a response; such rows share no prompt. Errors of
    // the prompt itself are raised again, per row, when the whole conversation is rendered.
    if (e.kind() != ErrorKind::kInput) throw;
    return {};
  }
}

EncodedConversation ConversationEncoder::finish(const Conversation& prompt, const Message& response,
                                                std::span<const std::int32_t> prompt_ids) const {
  if (encodes_pairs_) return finish_pair(prompt, response, prompt_ids);
  const std::size_t answer_length = without_thinking(response.content).size();
  if (options_.strip_thinking && answer_length < response.content.size() &&
      has_text_content(response)) {
    Message answer = response;
    answer.content.erase(0, answer.content.size() - answer_length);
    return finish_rendered(template_->render(prompt, answer), prompt_ids);
  }
  return finish_rendered(template_->render(prompt, response), prompt_ids);
}

EncodedConversation ConversationEncoder::finish_pair(
    const Conversation& prompt, const Message& response,
    std::span<const std::int32_t> prompt_ids) const {
  std::vector<std::int32_t> first(prompt_ids.begin(), prompt_ids.end());
  if (first.empty())  // perhaps because of an error, which is raised again
    first = tokenizer_->encode(pair_prompt(prompt), AddSpecialTokens::kNo);
  std::string_view text = pair_response(response);
  if (options_.strip_thinking) text = without_thinking(text);
  if (text.empty())  // as transformers' tokenizer(prompt, ""), which takes it for no second text
    return texts_->single(std::move(first), max_tokens_, options_.truncation);
  return texts_->pair(std::move(first), tokenizer_->encode(text, AddSpecialTokens::kNo),
                      max_tokens_, options_.truncation);
}

EncodedConversation ConversationEncoder::finish_rendered(
    const std::string& rendered, std::span<const std::int32_t> prompt_ids) const {
  if (texts_) {
    return texts_->single(tokenizer_->encode(rendered, AddSpecialTokens::kNo), max_tokens_,
                          options_.truncation);
  }
  EncodedConversation result;
  result.ids = tokenize(rendered);
  if (result.ids.empty()) {
    throw Error(ErrorKind::kInput, "{}: the template renders this conversation to nothing",
                template_->name());
  }
  result.full_length = static_cast<std::int64_t>(result.ids.size());
  result.truncated = result.full_length > max_tokens_;
  if (result.truncated) {
    switch (options_.truncation) {
      case Truncation::kLeft:
        result.ids.erase(result.ids.begin(), result.ids.end() - max_tokens_);
        return result;
      case Truncation::kRight:
        result.ids.resize(static_cast<std::size_t>(max_tokens_));
        break;
      case Truncation::kError:
        throw_too_long(result.full_length, max_tokens_);
    }
  }
  const auto shared =
      std::mismatch(result.ids.begin(), result.ids.end(), prompt_ids.begin(), prompt_ids.end());
  result.prompt_length = std::min<std::int64_t>(shared.first - result.ids.begin(),
                                                static_cast<std::int64_t>(result.ids.size()) - 1);
  return result;
}

}  // namespace charm::text
