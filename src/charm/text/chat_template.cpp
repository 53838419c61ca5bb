#include "charm/text/chat_template.h"

#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <ranges>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/strings.h"
#include "charm/text/bridge.h"

namespace charm::text {
namespace {

struct Found {
  std::string source;
  std::string name;
  std::string tool_use{};  // a template of its own for conversations with tools; empty: none
};

// The `chat_template` of tokenizer_config.json: a string, or [{"name": "default", "template":
// "..."}, {"name": "tool_use", ...}, ...], or {"default": "...", ...}.
Found template_of_config(const nlohmann::json& value, const std::string& file) {
  if (value.is_string()) return {value.get<std::string>(), file + ": chat_template"};
  if (!value.is_structured()) {
    throw Error(ErrorKind::kInput,
                "{}: chat_template must be a string, or a list or an object of named templates, "
                "found {}",
                file, value.type_name());
  }
  nlohmann::json named = value;
  if (value.is_object()) {
    named = nlohmann::json::array();
    for (const auto& [name, text] : value.items())
      named.push_back({{"name", name}, {"template", text}});
  }
  std::map<std::string, std::string> templates;
  for (const nlohmann::json& entry : named) {
    const bool complete = entry.is_object() && entry.contains("name") &&
                          entry["name"].is_string() && entry.contains("template") &&
                          entry["template"].is_string();
    if (!complete) {
      throw Error(ErrorKind::kInput,
                  "{}: an entry of chat_template lacks the strings 'name' and 'template'", file);
    }
    templates[entry["name"].get<std::string>()] = entry["template"].get<std::string>();
  }
  if (!templates.contains("default")) {
    throw Error(ErrorKind::kInput,
                "{}: chat_template names no 'default' (found: {}); write the one you want to a "
                "file and pass it with --template",
                file,
                templates.empty()
                    ? "none"
                    : fmt::format("{}", fmt::join(std::views::keys(templates), ", ")));
  }
  return {templates["default"], file + ": chat_template 'default'", templates["tool_use"]};
}

// Of tokenizer_config.json; null where it has none.
nlohmann::json configured_template(const fs::path& model_dir) {
  return read_config(model_dir, "tokenizer_config.json").value("chat_template", nlohmann::json());
}

Found find_template(const fs::path& model_dir, const std::optional<fs::path>& template_file) {
  if (template_file) return {read_file(*template_file), template_file->string()};
  const fs::path jinja = model_dir / "chat_template.jinja";
  if (fs::exists(jinja)) {
    const fs::path tool_use = model_dir / "additional_chat_templates" / "tool_use.jinja";
    return {read_file(jinja), jinja.string(), fs::exists(tool_use) ? read_file(tool_use) : ""};
  }
  const nlohmann::json value = configured_template(model_dir);
  if (value.is_null()) {
    throw Error(ErrorKind::kInput,
                "{}: the model has no chat template (neither chat_template.jinja nor chat_template "
                "in tokenizer_config.json); pass the one it was trained with as --template FILE",
                model_dir.string());
  }
  return template_of_config(value, (model_dir / "tokenizer_config.json").string());
}

bool is_day(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0;
  char rest = '\0';
  const bool is_form = text.size() == 10 &&
                       text.find_first_not_of("0123456789-") == std::string::npos &&
                       std::sscanf(text.c_str(), "%4d-%2u-%2u%c", &year, &month, &day, &rest) == 3;
  return is_form &&
         (std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day)).ok();
}

// `--chat-template-kwargs`: what the template sees besides the conversation, and in place of
// special tokens of the same name.
nlohmann::ordered_json parse_kwargs(const std::string& kwargs) {
  if (kwargs.empty()) return nlohmann::ordered_json::object();
  auto json = nlohmann::ordered_json::parse(kwargs, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    throw Error(ErrorKind::kUsage,
                "--chat-template-kwargs: expected a JSON object such as '{{\"enable_thinking\": "
                "false}}', found '{}'",
                kwargs);
  }
  for (const char* name : {"messages", "tools", "add_generation_prompt"}) {
    if (!json.contains(name)) continue;
    throw Error(ErrorKind::kUsage,
                "--chat-template-kwargs: '{}' is part of every conversation and cannot be given",
                name);
  }
  return json;
}

// nlohmann's dump() would throw its own exception on such bytes.
void require_utf8(std::string_view text, const std::string& what) {
  if (const auto offset = find_invalid_utf8(text)) {
    throw Error(ErrorKind::kInput, "{}: invalid UTF-8 at byte {}", what, *offset + 1);
  }
}

void require_utf8(const Message& message, std::size_t turn) {
  require_utf8(message.role, fmt::format("the role of message {}", turn + 1));
  require_utf8(message.content, fmt::format("message {} ({})", turn + 1, message.role));
}

}  // namespace

bool has_chat_template(const fs::path& model_dir) {
  return fs::exists(model_dir / "chat_template.jinja") || !configured_template(model_dir).is_null();
}

struct ChatTemplate::Handle {
  charm_text_template* chat_template = nullptr;
  ~Handle() { charm_text_template_free(chat_template); }
};

void ChatTemplate::HandleDeleter::operator()(Handle* handle) const { delete handle; }

ChatTemplate::ChatTemplate(SpecialTokens special_tokens, std::string name)
    : special_tokens_(std::move(special_tokens)), name_(std::move(name)) {}

ChatTemplate ChatTemplate::load(const fs::path& model_dir,
                                const std::optional<fs::path>& template_file,
                                const std::string& date, const std::string& kwargs,
                                const fs::path& template_folder) {
  if (!is_day(date)) {
    throw Error(ErrorKind::kUsage, "--template-date: expected a day written YYYY-MM-DD, found '{}'",
                date);
  }
  Found found = find_template(template_folder.empty() ? model_dir : template_folder, template_file);
  ChatTemplate loaded(read_special_tokens(model_dir), std::move(found.name));
  const std::string context = loaded.context_json(kwargs);
  loaded.handle_ = loaded.compile(found.source, context, date);
  if (!found.tool_use.empty()) loaded.tool_use_ = loaded.compile(found.tool_use, context, date);
  loaded.source_ = std::move(found.source);
  loaded.tool_use_source_ = std::move(found.tool_use);
  return loaded;
}

ChatTemplate ChatTemplate::from_source(std::string source, SpecialTokens special_tokens,
                                       const std::string& date, std::string name,
                                       const std::string& kwargs) {
  ChatTemplate made(std::move(special_tokens), std::move(name));
  made.handle_ = made.compile(source, made.context_json(kwargs), date);
  made.source_ = std::move(source);
  return made;
}

std::string ChatTemplate::context_json(const std::string& kwargs) const {
  nlohmann::ordered_json context = nlohmann::ordered_json::object();
  for (const auto& [token, content] : special_tokens_) {
    require_utf8(content, fmt::format("{}: special token {}", name_, token));
    context[token] = content;
  }
  context.update(parse_kwargs(kwargs));
  return context.dump();
}

ChatTemplate::HandlePtr ChatTemplate::compile(const std::string& source, const std::string& context,
                                              const std::string& date) const {
  bridge::require_abi();
  HandlePtr handle(new Handle);
  bridge::check(
      charm_text_template_new(source.data(), source.size(), context.data(), context.size(),
                              date.data(), date.size(), &handle->chat_template),
      name_);
  return handle;
}

std::string ChatTemplate::render(const Conversation& conversation,
                                 GenerationPrompt generation_prompt) const {
  for (std::size_t i = 0; i < conversation.size(); ++i) require_utf8(conversation[i], i);
  return render_json(messages_json(conversation), conversation, generation_prompt);
}

std::string ChatTemplate::render(const Conversation& prompt, const Message& response) const {
  for (std::size_t i = 0; i < prompt.size(); ++i) require_utf8(prompt[i], i);
  require_utf8(response, prompt.size());
  std::string messages = messages_json(prompt);
  messages.back() = prompt.empty() ? ' ' : ',';
  messages += message_json(response);
  messages += ']';
  return render_json(messages, prompt, GenerationPrompt::kNo);
}

std::string ChatTemplate::render_json(const std::string& messages, const Conversation& context,
                                      GenerationPrompt generation_prompt) const {
  const std::string& tools = context.tools;
  const std::string& kwargs = context.template_kwargs;
  const Handle& handle = tool_use_ != nullptr && !tools.empty() ? *tool_use_ : *handle_;
  charm_text_string text{nullptr, 0};
  bridge::check(
      charm_text_template_render(handle.chat_template, messages.data(), messages.size(),
                                 tools.data(), tools.size(), kwargs.data(), kwargs.size(),
                                 generation_prompt == GenerationPrompt::kYes ? 1 : 0, &text),
      name_);
  return bridge::take(text);
}

std::string ChatTemplate::sha256() const {
  return sha256_hex(tool_use_source_.empty() ? source_ : source_ + '\0' + tool_use_source_);
}

}  // namespace charm::text
