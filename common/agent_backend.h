/* agent_backend: what is particular to one agent program, as data. Only for common/agent*. */
#ifndef ORCH_COMMON_AGENT_BACKEND_H
#define ORCH_COMMON_AGENT_BACKEND_H

#include <stdbool.h>

/* What one kind of agent program wants to hear. Lists are NULL-terminated. */
struct agent_backend {
	const char *argv[16];                                                        /* always */
	const char *full[4];                                                         /* AGENT_FULL */
	const char *read_only[12];                                                   /* AGENT_READ_ONLY */
	const char *session, *resume, *schema, *model, *max_turns, *max_usd, *debug; /* take a value */
	const char *allowed[4];  /* in place of full and read_only, when a value for its last is given */
	const char *refused[32]; /* arguments that nobody else may give; each up to a = is compared */
	const char *env[12];     /* unless the user says otherwise */
	const char *answer_ms, *idle_ms, *retries; /* variables of struct agent_patience */
	const char *root_env;                      /* without it root may not run unattended */
	const char *gone;                          /* what it says when a session to resume is not there */
	const char *url, *url_env;                 /* its endpoint, and the variable that names another one */

	const char *version_arg, *version_mark; /* asks for it; what follows the number */
	unsigned version_min[3];

	/* The user's own login. None of it is borrowed where the environment has a variable of key_env. */
	const char *key_env[4];
	const char *config_env;      /* the variable that says where the user's configuration is */
	const char *config_dir;      /* where it is without that: in HOME */
	const char *login_env;       /* names the folder of a login, apart from that of all else */
	const char *config_files[4]; /* of the configuration, read from the user's own */
};

extern const struct agent_backend agent_backend;

/* The name of "NAME=value" (or of "--name=value") is in the list; an entry that ends in * stands for all that
 * begin so. */
bool agent_name_in(const char *const *list, const char *pair);

#endif
