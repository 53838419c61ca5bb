/* The C interface of libcharm.so: what the Python module and other languages call.
 *
 * - Every function that can fail returns a charm_status; CHARM_OK is 0, the others are the exit
 * codes of the command line. charm_last_error() then has the message, in the command line's words.
 * No C++ exception leaves the library.
 * - Handles are opaque; whoever gets one from a function frees it with the function named beside
 * it. Freeing NULL does nothing.
 * - Texts are UTF-8 and end with a NUL, unless their length is an argument.
 * - Functions may be called from any thread. A handle serves one call at a time; calls on one
 * handle at the same time wait for each other.
 */
/* NOLINTBEGIN(readability-identifier-naming): names as in C */
#ifndef CHARM_CAPI_CHARM_H_
#define CHARM_CAPI_CHARM_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CHARM_EXPORT __attribute__((visibility("default")))
#else
#define CHARM_EXPORT
#endif

/* Incremented when a function changes or goes. */
#define CHARM_CAPI_VERSION 1

typedef enum charm_status {
  CHARM_OK = 0,
  CHARM_USAGE = 2,      /* an option or argument is invalid */
  CHARM_INPUT = 3,      /* a file, a row or a model has invalid content */
  CHARM_IO = 4,         /* a file cannot be read or written */
  CHARM_NETWORK = 5,    /* a download failed */
  CHARM_RESOURCE = 6,   /* memory, disk or a device ran out */
  CHARM_INTERNAL = 70,  /* a bug of charm */
  CHARM_CANCELLED = 130 /* the progress callback asked for the end */
} charm_status;

/* Progress of a call. `total` is 0 while unknown. Another value than 0 ends the call with
 * CHARM_CANCELLED, soon. Called from the calling thread or one of the library's, never by two at a
 * time. */
typedef int (*charm_progress)(void* context, const char* what, int64_t done, int64_t total,
                              const char* unit);

/* "0.1.0" */
CHARM_EXPORT const char* charm_version(void);
CHARM_EXPORT int charm_capi_version(void);

/* The message of this thread's last call that failed; "" before. Valid until this thread's next
 * call. */
CHARM_EXPORT const char* charm_last_error(void);

/* Takes a warning, without a line break. Called during other calls, from any thread. */
typedef void (*charm_warning)(void* context, const char* message);

/* Where warnings of all calls go from now on; NULL: to standard error, as at first. */
CHARM_EXPORT void charm_set_warning(charm_warning warning, void* context);

/* Runs `charm ARGUMENTS...`, without its output on the terminal: results are in the files that the
 * arguments name. */
CHARM_EXPORT charm_status charm_run(const char* const* arguments, size_t num_arguments,
                                    charm_progress progress, void* context);

/* A reward model in memory. */
typedef struct charm_reward_model charm_reward_model;

/* Loads a reward model: a Hugging Face folder, or hub:OWNER/NAME.
 * options: "--name=value" as `charm score` takes them, of --dtype, --device, --adapter,
 * --max-tokens, --truncation, --template,
 *          --template-date, --strip-thinking, --bos, --pooling, --budget-tokens, --threads,
 * --offline */
CHARM_EXPORT charm_status charm_reward_model_load(const char* model, const char* const* options,
                                                  size_t num_options, charm_progress progress,
                                                  void* context, charm_reward_model** out);
CHARM_EXPORT void charm_reward_model_free(charm_reward_model* model);
/* What `charm score` records about the model and its use: a JSON object of texts. Valid as long as
 * the model. */
CHARM_EXPORT const char* charm_reward_model_facts(const charm_reward_model* model);

/* The scores of some rows, in their order. */
typedef struct charm_scores charm_scores;

/* Scores rows with the columns that `charm score` reads: prompt and response, or messages. Rows
 * with equal prompts share its prefill. The same bits as `charm score`. rows:         JSON lines,
 * num_bytes of them max_bad_rows: rows without a score to tolerate; one more is CHARM_INPUT */
CHARM_EXPORT charm_status charm_reward_model_score_json(charm_reward_model* model, const char* rows,
                                                        size_t num_bytes, int64_t max_bad_rows,
                                                        charm_progress progress, void* context,
                                                        charm_scores** out);

/* The same for a stream of the Arrow C data interface (struct ArrowArrayStream), which the call
 * releases. */
struct ArrowArrayStream;
CHARM_EXPORT charm_status charm_reward_model_score_arrow(charm_reward_model* model,
                                                         struct ArrowArrayStream* rows,
                                                         int64_t max_bad_rows,
                                                         charm_progress progress, void* context,
                                                         charm_scores** out);

CHARM_EXPORT size_t charm_scores_size(const charm_scores* scores);
/* [size] raw head output, unbounded; NaN for rows with an error. These arrays are valid as long as
 * `scores`. */
CHARM_EXPORT const float* charm_scores_values(const charm_scores* scores);
/* [size] tokens of the templated conversation, as the model saw them; 0 for rows with an error */
CHARM_EXPORT const int32_t* charm_scores_num_tokens(const charm_scores* scores);
/* [size] 1 where the conversation was cut to --max-tokens */
CHARM_EXPORT const uint8_t* charm_scores_truncated(const charm_scores* scores);
/* Why a row has no score; NULL if it has one. */
CHARM_EXPORT const char* charm_scores_error(const charm_scores* scores, size_t row);
CHARM_EXPORT void charm_scores_free(charm_scores* scores);

#ifdef __cplusplus
}
#endif

#endif /* CHARM_CAPI_CHARM_H_ */
/* NOLINTEND(readability-identifier-naming) */
