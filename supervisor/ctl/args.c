/* args: see args.h. */
#include "supervisor/ctl/args.h"

#include "common/conf.h"
#include "common/text.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64

enum kind { KIND_flag, KIND_text, KIND_count };

struct row {
	unsigned bit;
	size_t at;
	enum kind kind;
	const char *name;
	char letter;
	const char *value, *help;
};

static const struct row rows[] = {
#define X(bit, field, kind, name, letter, value, help)                                                       \
	{1u << bit, offsetof(struct args, field), KIND_##kind, name, letter, value, help},
    ARGS_OPTIONS(X)
#undef X
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Those known for the command plus the settings it takes, for "did you mean". */
struct names {
	const char *list[NAMES_MAX + 1];
	size_t count;
	bool all_settings;
};

static bool
is_common_setting(const char *flag)
{
	return strcmp(flag, "--state-dir") == 0 || strcmp(flag, "--log") == 0;
}

static void
add_setting(void *arg, const char *flag, const char *env, const char *key, const char *help)
{
	struct names *n = arg;

	(void)env;
	(void)key;
	(void)help;
	if (flag != NULL && n->count < NAMES_MAX && (n->all_settings || is_common_setting(flag)))
		n->list[n->count++] = flag;
}

static const char *
nearest_option(const char *word, unsigned known)
{
	struct names n = {.all_settings = (known & ARGS_conf) != 0};

	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].bit & known)
			n.list[n.count++] = rows[i].name;
	conf_each(add_setting, &n);
	n.list[n.count] = NULL;
	return text_nearest(word, n.list);
}

static int
unknown_option(const char *command, const char *word, unsigned known, struct err *e)
{
	size_t n = strcspn(word, "=");
	char name[128];
	const char *near;

	snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1), word);
	near = nearest_option(name, known);
	if (near != NULL)
		return err_set(
		    e, -EINVAL, "unknown option %s for orchctl %s: did you mean %s?", name, command, near);
	return err_set(
	    e, -EINVAL, "unknown option %s for orchctl %s: see orchctl %s --help", name, command, command);
}

/* The row that word spells, with what follows = (or the letter) in *value. */
static const struct row *
find_row(const char *word, unsigned known, const char **value)
{
	size_t n = strcspn(word, "=");

	*value = NULL;
	for (size_t i = 0; i < ROWS; i++) {
		if ((rows[i].bit & known) == 0)
			continue;
		if (word[1] == '-') {
			if (strlen(rows[i].name) != n || strncmp(rows[i].name, word, n) != 0)
				continue;
			*value = word[n] == '=' ? word + n + 1 : NULL;
			return &rows[i];
		}
		if (rows[i].letter == word[1] && (word[2] == '\0' || rows[i].kind != KIND_flag)) {
			*value = word[2] != '\0' ? word + 2 : NULL;
			return &rows[i];
		}
	}
	return NULL;
}

static int
store(struct args *a, const struct row *r, const char *value, struct err *e)
{
	char *field = (char *)a + r->at, *end;

	switch (r->kind) {
	case KIND_flag:
		*(bool *)field = true;
		return 0;
	case KIND_text:
		*(const char **)field = value;
		return 0;
	case KIND_count:
		errno = 0;
		*(uint64_t *)field = strtoull(value, &end, 10);
		if (errno != 0 || *end != '\0' || *value < '1' || *value > '9' || strlen(value) > 9)
			return err_set(e, -EINVAL, "%s %s: give a whole number from 1", r->name, value);
		return 0;
	}
	return -EINVAL;
}

/* 1 when argv[*i] is a setting of common/conf that the command takes; it is read for real later. */
static int
try_setting(struct args *a, unsigned known, int argc, char *const *argv, int *i, struct err *e)
{
	struct conf scratch;
	char name[64];
	int at = *i, rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(argv[at], "="), argv[at]);
	if ((known & ARGS_conf) == 0 && !is_common_setting(name))
		return 0;
	conf_init(&scratch);
	rc = conf_from_flag(&scratch, argc, argv, i, e);
	conf_clear(&scratch);
	if (rc == 1) {
		if (a->conf_count == (int)(sizeof(a->conf_at) / sizeof(a->conf_at[0])))
			return err_set(e, -EINVAL, "too many options");
		a->conf_at[a->conf_count++] = at;
	}
	return rc;
}

static int
parse_option(
    struct args *a, const char *command, unsigned known, int argc, char *const *argv, int *i, struct err *e)
{
	const char *word = argv[*i], *value;
	const struct row *r = find_row(word, known, &value);
	int rc;

	if (r == NULL) {
		rc = try_setting(a, known, argc, argv, i, e);
		return rc == 0 ? unknown_option(command, word, known, e) : rc < 0 ? rc : 0;
	}
	(*i)++;
	if (r->kind == KIND_flag && value != NULL)
		return err_set(e, -EINVAL, "%s takes no value", r->name);
	if (r->kind != KIND_flag && value == NULL) {
		if (*i >= argc)
			return err_set(e, -EINVAL, "%s needs a value: %s %s", r->name, r->name, r->value);
		value = argv[(*i)++];
	}
	return store(a, r, value, e);
}

int
args_parse(struct args *a, const char *command, unsigned known, int max_words, int argc, char *const *argv,
    int first, struct err *e)
{
	bool options = true;
	int rc;

	memset(a, 0, sizeof(*a));
	a->argc = argc;
	a->argv = argv;
	known |= ARGS_help | ARGS_repo;
	for (int i = first; i < argc;) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
			i++;
		} else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
			rc = parse_option(a, command, known, argc, argv, &i, e);
			if (rc < 0)
				return rc;
		} else if (a->word_count == max_words) {
			return err_set(e, -EINVAL,
			    "unexpected argument \"%.60s\" for orchctl %s: see orchctl %s --help", argv[i],
			    command, command);
		} else {
			a->words[a->word_count++] = argv[i++];
		}
	}
	return 0;
}

void
args_each(
    unsigned known, void (*fn)(void *arg, unsigned bit, const char *spelled, const char *help), void *arg)
{
	char spelled[64];

	for (size_t i = 0; i < ROWS; i++) {
		if ((rows[i].bit & known) == 0)
			continue;
		if (rows[i].letter != 0)
			snprintf(spelled, sizeof(spelled), "-%c, %s", rows[i].letter, rows[i].name);
		else
			snprintf(spelled, sizeof(spelled), "    %s", rows[i].name);
		if (rows[i].value != NULL)
			snprintf(spelled + strlen(spelled), sizeof(spelled) - strlen(spelled), " %s",
			    rows[i].value);
		fn(arg, rows[i].bit, spelled, rows[i].help);
	}
}
