/*
 * args: what a person typed, taken apart by one table of options. Which of them a command knows is a set of
 * bits in the command's row; settings of a run (common/conf) are only found here and read later, because
 * flags come after the file and the environment. Pure.
 */
#ifndef ORCH_CTL_ARGS_H
#define ORCH_CTL_ARGS_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ARGS_WORDS_MAX 16

/* X(bit, field, kind, long name, letter or 0, value's name or NULL, help). kinds: flag, text, count. */
#define ARGS_OPTIONS(X)                                                                                      \
	X(0, help, flag, "--help", 'h', NULL, "shows this help")                                             \
	X(1, repo, text, "--repo", 0, "DIR", "the repository (default: the one around the current folder)")  \
	X(2, json, flag, "--json", 0, NULL, "for programs; see docs/status.md")                              \
	X(3, watch, flag, "--watch", 'w', NULL, "keeps showing it until the run has ended")                  \
	X(4, all, flag, "--all", 'a', NULL, NULL)                                                            \
	X(5, follow, flag, "--follow", 'f', NULL, "goes on with what happens from now on")                   \
	X(6, lines, count, "--lines", 'n', "N", "only the newest N lines")                                   \
	X(7, message, text, "--message", 'm', "TEXT", "the task as text")                                    \
	X(8, task_file, text, "--task", 0, "FILE", "the task from a file, - reads standard input")           \
	X(9, plan_file, text, "--plan", 0, "FILE", "a plan of areas, so that the director plans nothing")    \
	X(10, detach, flag, "--detach", 'd', NULL, "submits, prints the run's id and returns")               \
	X(11, now, flag, "--now", 0, NULL, "gives nobody time to save work")                                 \
	X(12, md, flag, "--md", 0, NULL, "as Markdown")                                                      \
	X(14, svg, flag, "--svg", 0, NULL, "as a picture: who worked when")                                  \
	X(15, approve, flag, "--approve", 0, NULL,                                                           \
	    "stops when it has a plan, until orchctl answer says yes to it")                                 \
	X(16, show, text, "--show", 0, "RUN", "the plan that a run has, without making one")                 \
	X(13, keys_file, text, "--keys", 0, "FILE",                                                          \
	    "API keys as in CLAUDE_CONFIGS, from a file that only you can read")                             \
	X(19, token_file, text, "--token-file", 0, "FILE",                                                   \
	    "the token for GitHub, from a file that only you can read (default: GITHUB_TOKEN, gh auth "      \
	    "token)")                                                                                        \
	X(18, reload, text, "--reload", 0, "FILE",                                                           \
	    "gives the run the keys of FILE in place of those that it has")                                  \
	X(20, event, flag, "--event", 0, NULL,                                                               \
	    "does what the GitHub event in GITHUB_EVENT_NAME and GITHUB_EVENT_PATH asks for")                \
	X(24, save, flag, "--save", 0, NULL,                                                                 \
	    "also pushes what the runs of issues have, so that orchctl run goes on with it elsewhere")       \
	X(21, trust, flag, "--trust", 0, NULL,                                                               \
	    "also acts on the words of people who are no collaborators of the repository")                   \
	X(22, rounds, count, "--rounds", 0, "N",                                                             \
	    "how many rounds of reviews the run may have in all (default: review_rounds, 3)")

typedef bool args_kind_flag;
typedef const char *args_kind_text;
typedef uint64_t args_kind_count; /* 0: not given */

struct args {
#define X(bit, field, kind, name, letter, value, help) args_kind_##kind field;
	ARGS_OPTIONS(X)
#undef X
	const char *words[ARGS_WORDS_MAX];
	int word_count;
	int argc; /* of the whole line, and where in it settings of common/conf begin */
	char *const *argv;
	int conf_at[64];
	int conf_count;
};

enum args_bit {
#define X(bit, field, kind, name, letter, value, help) ARGS_##field = 1u << bit,
	ARGS_OPTIONS(X)
#undef X
	    ARGS_conf = 1u << 31, /* every setting of common/conf; without it only --state-dir and --log */
};

/*
 * Takes argv[first...] apart. known: bits of the command's options (help and repo always are). Strings are
 * borrowed from argv. -EINVAL with a sentence that names a near option for a mistyped one.
 */
int args_parse(struct args *a, const char *command, unsigned known, int max_words, int argc,
    char *const *argv, int first, struct err *e);

/* Calls fn for every option in known, for --help. spelled: "-n, --lines N". */
void args_each(
    unsigned known, void (*fn)(void *arg, unsigned bit, const char *spelled, const char *help), void *arg);

#endif
