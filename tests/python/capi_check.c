/* charm.h is C, and failures are statuses with messages. */
#include <stdio.h>
#include <string.h>

#include "charm/capi/charm.h"

static int failures = 0;

static void expect(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "expected %s; last error: %s\n", what, charm_last_error());
  ++failures;
}

static void count_warning(void* context, const char* message) {
  (void)message;
  ++*(int*)context;
}

int main(void) {
  charm_reward_model* model = NULL;
  const char* unknown[] = {"--colour=red"};
  const char* command[] = {"measure", "--scores=none"};
  const char* no_command[] = {"paint"};
  expect(charm_capi_version() == CHARM_CAPI_VERSION, "the version of the header");
  expect(strlen(charm_version()) > 0, "a version");
  expect(charm_last_error()[0] == '\0', "no error yet");
  expect(charm_reward_model_load("/does/not/exist", NULL, 0, NULL, NULL, &model) == CHARM_IO ||
             strstr(charm_last_error(), "/does/not/exist") != NULL,
         "an error that names the folder");
  expect(charm_reward_model_load("x", unknown, 1, NULL, NULL, &model) == CHARM_USAGE, "a usage error");
  expect(strstr(charm_last_error(), "--colour=red") != NULL, "an error that names the option");
  expect(model == NULL, "no model");
  expect(charm_run(command, 2, NULL, NULL) == CHARM_USAGE, "a missing option to be a usage error");
  expect(strstr(charm_last_error(), "--output") != NULL, "an error that names what is missing");
  expect(charm_run(no_command, 1, NULL, NULL) == CHARM_USAGE, "an unknown command to be a usage error");
  int num_warnings = 0;
  charm_set_warning(count_warning, &num_warnings);
  expect(charm_run(command, 2, NULL, NULL) == CHARM_USAGE && num_warnings == 0, "an error to be no warning");
  charm_set_warning(NULL, NULL);
  charm_reward_model_free(NULL);
  charm_scores_free(NULL);
  return failures;
}
