/* C interface of the Rust crate charm_text: Hugging Face tokenizers and minijinja.
 *
 * Every function returns a status and writes its result through out-parameters, which are touched
 * only on CHARM_TEXT_OK. Text travels as pointer + length, may hold NUL, and must be valid UTF-8:
 * invalid bytes are an error, never repaired. Handles are immutable and thread-safe. Panics never
 * cross the FFI boundary. */
#ifndef CHARM_TEXT_H_
#define CHARM_TEXT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Incremented whenever a signature or the meaning of a status changes; callers check it first. */
#define CHARM_TEXT_ABI_VERSION 6u

typedef int32_t charm_text_status;
#define CHARM_TEXT_OK 0
#define CHARM_TEXT_INVALID_UTF8 1  /* an argument's bytes are not UTF-8 */
#define CHARM_TEXT_INVALID_INPUT 2 /* tokenizer.json, template, context or date is invalid */
#define CHARM_TEXT_REFUSED \
  3 /* the template called raise_exception; the message is the template's own */
#define CHARM_TEXT_FAILED 4        /* encoding, decoding or rendering failed */
#define CHARM_TEXT_NULL_ARGUMENT 5 /* a pointer that must not be null is */
#define CHARM_TEXT_PANIC 6         /* a bug on the Rust side, caught */

/* Owned by the caller; free with charm_text_string_free. Not NUL-terminated. */
typedef struct {
  char* data;
  size_t length;
} charm_text_string;

/* Owned by the caller; free with charm_text_ids_free. */
typedef struct {
  int32_t* data;
  size_t length;
} charm_text_ids;

typedef struct charm_text_tokenizer charm_text_tokenizer;
typedef struct charm_text_template charm_text_template;

uint32_t charm_text_abi_version(void);

/* The handler is called where memory for `bytes` cannot be had, from any thread: it may end the
 * process, must not allocate here nor unwind, and where it returns the process aborts. NULL: none.
 */
void charm_text_on_out_of_memory(void (*handler)(size_t bytes));

/* Message of the last call of this thread that did not return CHARM_TEXT_OK (empty when there was
 * none). */
charm_text_status charm_text_last_error(charm_text_string* out_message);

void charm_text_string_free(charm_text_string text);
void charm_text_ids_free(charm_text_ids ids);

/* From the content of a tokenizer.json. Its truncation and padding sections are ignored.
 * added_json: a list of further added tokens, objects as in its added_tokens section without id;
 * existing ones are skipped, the others get their id in the vocabulary or the next free one.
 * split_special_tokens: anything but 0 tokenises special tokens in a text as text. */
charm_text_status charm_text_tokenizer_new(const char* json, size_t json_length,
                                           const char* added_json, size_t added_length,
                                           int32_t split_special_tokens,
                                           charm_text_tokenizer** out_tokenizer);
void charm_text_tokenizer_free(charm_text_tokenizer* tokenizer);

/* add_special_tokens: 0 omits the post-processor's tokens (BOS, EOS), anything else adds them.
 * Special tokens in the text map to their ids either way (but see split_special_tokens). */
charm_text_status charm_text_tokenizer_encode(const charm_text_tokenizer* tokenizer,
                                              const char* text, size_t text_length,
                                              int32_t add_special_tokens, charm_text_ids* out_ids);

/* skip_special_tokens: anything but 0 drops special tokens from the text. */
charm_text_status charm_text_tokenizer_decode(const charm_text_tokenizer* tokenizer,
                                              const int32_t* ids, size_t num_ids,
                                              int32_t skip_special_tokens,
                                              charm_text_string* out_text);

/* *out_id is -1 when the vocabulary has no such token. */
charm_text_status charm_text_tokenizer_token_to_id(const charm_text_tokenizer* tokenizer,
                                                   const char* token, size_t token_length,
                                                   int32_t* out_id);

/* *out_found is 0 and *out_token untouched when the vocabulary has no such id. */
charm_text_status charm_text_tokenizer_id_to_token(const charm_text_tokenizer* tokenizer,
                                                   int32_t id, int32_t* out_found,
                                                   charm_text_string* out_token);

/* Entries including added tokens. */
charm_text_status charm_text_tokenizer_vocab_size(const charm_text_tokenizer* tokenizer,
                                                  size_t* out_size);

/* source: a Jinja chat template. context_json: an object of further variables (bos_token, ...).
 * date: YYYY-MM-DD, what strftime_now sees (at midnight). */
charm_text_status charm_text_template_new(const char* source, size_t source_length,
                                          const char* context_json, size_t context_length,
                                          const char* date, size_t date_length,
                                          charm_text_template** out_template);
void charm_text_template_free(charm_text_template* chat_template);

/* messages_json: an array of objects with role and content. tools_json: an array of JSON schemas;
 * empty: none. kwargs_json: an object of further variables, in place of those of the same name in
 * context_json; empty: none. */
charm_text_status charm_text_template_render(const charm_text_template* chat_template,
                                             const char* messages_json, size_t messages_length,
                                             const char* tools_json, size_t tools_length,
                                             const char* kwargs_json, size_t kwargs_length,
                                             int32_t add_generation_prompt,
                                             charm_text_string* out_text);

#ifdef __cplusplus
}
#endif

#endif /* CHARM_TEXT_H_ */
