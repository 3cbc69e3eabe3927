/*
 * conf: see conf.h. One row per option describes it; four setters, one per source, go by the rows. Every
 * source is applied to a copy, which replaces the original only when all of it was good.
 */
#include "common/conf.h"

#include "common/alloc.h"
#include "common/conf_check.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"
#include "common/ptree.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_MAX 60 /* bytes of a wrong value in a message */

enum kind {
	KIND_u64,
	KIND_ms,
	KIND_usd,
	KIND_str,
	KIND_cmd,
	KIND_map,
	KIND_list,
	KIND_lines,
	KIND_args,
	KIND_prices
};

struct option {
	enum kind kind;
	size_t offset;
	const char *field, *flag, *env, *key, *help;
	uint64_t number, min, max; /* u64, ms */
	const char *text;          /* str; lists: JSON */
};

#define DEFAULT_u64(def) .number = (def)
#define DEFAULT_ms(def) .number = (def)
#define DEFAULT_usd(def) .number = (def)
#define DEFAULT_str(def) .text = (def)
#define DEFAULT_cmd(def) .text = (def)
#define DEFAULT_map(def) .text = (def)
#define DEFAULT_list(def) .text = (def)
#define DEFAULT_lines(def) .text = (def)
#define DEFAULT_args(def) .text = (def)
#define DEFAULT_prices(def) .text = (def)

static const struct option options[] = {
#define OPTION(k, f, flag_, env_, key_, def, min_, max_, help_)                                              \
	{.kind = KIND_##k,                                                                                   \
	    .offset = offsetof(struct conf, f),                                                              \
	    .field = #f,                                                                                     \
	    .flag = flag_,                                                                                   \
	    .env = env_,                                                                                     \
	    .key = key_,                                                                                     \
	    .help = help_,                                                                                   \
	    .min = min_,                                                                                     \
	    .max = max_,                                                                                     \
	    DEFAULT_##k(def)},
    CONF_OPTIONS(OPTION)
#undef OPTION
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))
#define EACH_OPTION(o) for (const struct option *o = options; o < options + N_OPTIONS; o++)

static uint64_t *
number_of(const struct conf *c, const struct option *o)
{
	return (uint64_t *)((char *)c + o->offset);
}

static char **
text_of(const struct conf *c, const struct option *o)
{
	return (char **)((char *)c + o->offset);
}

static json_t **
json_of(const struct conf *c, const struct option *o)
{
	return (json_t **)((char *)c + o->offset);
}

static bool
is_number(const struct option *o)
{
	return o->kind == KIND_u64 || o->kind == KIND_ms || o->kind == KIND_usd;
}

static bool
is_list(const struct option *o)
{
	return o->kind == KIND_list || o->kind == KIND_lines;
}

/* Kept in thousandths of what people give: seconds, USD. */
static bool
in_thousandths(const struct option *o)
{
	size_t n = strlen(o->key);

	return o->kind == KIND_usd || (o->kind == KIND_ms && n > 2 && strcmp(o->key + n - 2, "_s") == 0);
}

void
conf_init(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	EACH_OPTION (o) {
		if (is_number(o))
			*number_of(c, o) = o->number;
		else if (o->kind == KIND_str)
			*text_of(c, o) = xstrdup(o->text);
		else if (is_list(o))
			*json_of(c, o) = json_loads(o->text, 0, NULL);
	}
}

void
conf_clear(struct conf *c)
{
	EACH_OPTION (o) {
		if (o->kind == KIND_str)
			free(*text_of(c, o));
		else if (!is_number(o))
			json_decref(*json_of(c, o));
	}
	memset(c, 0, sizeof(*c));
}

static void
copy(struct conf *to, const struct conf *from)
{
	*to = *from;
	EACH_OPTION (o) {
		if (o->kind == KIND_str)
			*text_of(to, o) = xstrdup(*text_of(from, o));
		else if (!is_number(o))
			*json_of(to, o) = json_deep_copy(*json_of(from, o));
	}
}

/* Ends a change that was made on a copy: it becomes c, or it is dropped. */
static int
settle(struct conf *c, struct conf *changed, int rc)
{
	if (rc < 0) {
		conf_clear(changed);
		return rc;
	}
	conf_clear(c);
	*c = *changed;
	return rc;
}

static int
refuse_number(const struct option *o, const char *name, const char *given, struct err *e)
{
	char low[32], high[32], *shown = text_line(given, SHOWN_MAX);

	if (in_thousandths(o))
		err_set(e, -EINVAL, "%s must be a number of %s from %s to %s, not %s", name,
		    o->kind == KIND_usd ? "USD" : "seconds", conf_seconds_text(low, o->min),
		    conf_seconds_text(high, o->max), shown);
	else
		err_set(e, -EINVAL, "%s must be a whole number%s from %llu to %llu, not %s", name,
		    o->kind == KIND_ms ? " of milliseconds" : "", (unsigned long long)o->min,
		    (unsigned long long)o->max, shown);
	free(shown);
	return -EINVAL;
}

static int
check_str(const struct option *o, const char *name, const char *value, struct err *e)
{
	int rc = o->offset == offsetof(struct conf, co_author) ? conf_check_person(name, value, e)
							       : conf_check_str(name, value, e);
	char *shown;

	if (rc == 0 && o->offset == offsetof(struct conf, prs) && strcmp(value, "final") != 0 &&
	    strcmp(value, "all") != 0 && strcmp(value, "none") != 0)
		return err_set(e, -EINVAL, "%s must be final, all or none", name);
	if (rc == 0 && o->offset == offsetof(struct conf, branch_prefix))
		return conf_check_branch_prefix(name, value, e);
	if (rc == 0 && o->offset == offsetof(struct conf, log) && log_level_parse(value) < 0) {
		shown = text_line(value, SHOWN_MAX);
		rc = err_set(e, -EINVAL, "%s must be error, warn, info or debug, not \"%s\"", name, shown);
		free(shown);
	}
	if (rc == 0 && o->offset == offsetof(struct conf, tree) && !ptree_name_valid(value)) {
		shown = text_line(value, SHOWN_MAX);
		rc = err_set(e, -EINVAL, "%s must be auto, cgroup, pidns or walk, not \"%s\"", name, shown);
		free(shown);
	}
	return rc;
}

static int
check_json(const struct option *o, const char *name, json_t *value, struct err *e)
{
	if (o->kind == KIND_map)
		return conf_check_map(name, value, e);
	if (o->kind == KIND_list)
		return conf_check_list(name, value, e);
	if (o->kind == KIND_lines)
		return conf_check_lines(name, value, e);
	if (o->kind == KIND_prices)
		return conf_check_prices(name, value, e);
	return o->kind == KIND_cmd ? conf_check_cmd(name, value, e) : conf_check_args(name, value, e);
}

static json_t *
split_text(const struct option *o, const char *value)
{
	if (o->kind == KIND_args)
		return conf_split_args(value);
	return is_list(o) ? conf_split_list(value) : json_string(value);
}

/* A flag's or a variable's value. */
static int
set_text(struct conf *c, const struct option *o, const char *name, const char *value, struct err *e)
{
	uint64_t number;
	json_t *given;
	char *quoted;
	int rc;

	if (is_number(o)) {
		if (conf_parse_number(value, in_thousandths(o), &number) && number >= o->min &&
		    number <= o->max) {
			*number_of(c, o) = number;
			return 0;
		}
		quoted = xasprintf("\"%.*s\"", 4 * SHOWN_MAX, value);
		rc = refuse_number(o, name, quoted, e);
		free(quoted);
		return rc;
	}
	if (o->kind == KIND_str) {
		rc = check_str(o, name, value, e);
		if (rc == 0)
			xreplace(text_of(c, o), value);
		return rc;
	}
	if (o->kind == KIND_prices) {
		rc = conf_read_json(name, value, &given, e);
		if (rc < 0)
			return rc;
	} else {
		given = split_text(o, value);
	}
	if (given == NULL)
		return err_set(e, -EINVAL, "%s must be UTF-8 text", name);
	rc = check_json(o, name, given, e);
	if (rc < 0) {
		json_decref(given);
		return rc;
	}
	json_decref(*json_of(c, o));
	*json_of(c, o) = given;
	return 0;
}

/* A JSON number in the option's unit as thousandths or a count. frozen: as it is kept, whatever the key says.
 */
static bool
number_from_json(const struct option *o, const json_t *value, bool frozen, uint64_t *number)
{
	bool fine = in_thousandths(o) && !frozen;
	double limit = fine ? (double)o->max / 1000 : (double)o->max;
	double given = json_number_value(value);

	if (!(json_is_integer(value) || (fine && json_is_real(value))) || !(given >= 0 && given <= limit))
		return false;
	*number = fine ? (uint64_t)(given * 1000 + 0.5) : (uint64_t)json_integer_value(value);
	return *number >= o->min && *number <= o->max;
}

/* A value of the file, or (frozen) of a run's stored options. */
static int
set_json(struct conf *c, const struct option *o, json_t *value, bool frozen, struct err *e)
{
	const char *name = frozen ? o->field : o->key;
	uint64_t number;
	char *given;
	int rc;

	if (is_number(o)) {
		if (number_from_json(o, value, frozen, &number)) {
			*number_of(c, o) = number;
			return 0;
		}
		given = json_text(value);
		rc = refuse_number(o, name, given, e);
		free(given);
		return rc;
	}
	if (o->kind == KIND_str) {
		if (!json_is_string(value))
			return err_set(e, -EINVAL, "%s must be a string", name);
		rc = check_str(o, name, json_string_value(value), e);
		if (rc == 0)
			xreplace(text_of(c, o), json_string_value(value));
		return rc;
	}
	rc = check_json(o, name, value, e);
	if (rc < 0)
		return rc;
	json_decref(*json_of(c, o));
	*json_of(c, o) = json_incref(value);
	return 0;
}

static const struct option *
find_key(const char *key)
{
	EACH_OPTION (o)
		if (o->key[0] != '\0' && strcmp(o->key, key) == 0)
			return o;
	return NULL;
}

static int
refuse_key(const char *key, struct err *e)
{
	const char *names[N_OPTIONS + 1] = {NULL}, *near;
	char *shown = text_line(key, SHOWN_MAX), *lower = xstrdup(shown);
	size_t n = 0;

	EACH_OPTION (o)
		if (o->key[0] != '\0')
			names[n++] = o->key;
	for (char *p = lower; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	near = text_nearest(lower, names);
	if (conf_is_secret(key))
		err_set(e, -EINVAL,
		    "%s is a secret and does not belong in a file of the repository: set it in the "
		    "environment",
		    shown);
	else if (near != NULL)
		err_set(e, -EINVAL, "unknown key \"%s\" (did you mean \"%s\"?)", shown, near);
	else
		err_set(e, -EINVAL, "unknown key \"%s\"", shown);
	free(lower);
	free(shown);
	return -EINVAL;
}

static int
apply_file(struct conf *c, json_t *file, struct err *e)
{
	const char *key;
	json_t *value;
	int rc = 0;

	if (!json_is_object(file))
		return err_set(e, -EINVAL, "must hold one JSON object");
	json_object_foreach (file, key, value) {
		const struct option *o = find_key(key);

		rc = o == NULL ? refuse_key(key, e) : set_json(c, o, value, false, e);
		if (rc < 0)
			break;
	}
	return rc;
}

int
conf_from_file(struct conf *c, const char *name, const char *text, size_t size, struct err *e)
{
	json_t *file = json_parse(name, text, size, e);
	struct conf changed;
	int rc;

	if (file == NULL)
		return -EINVAL;
	copy(&changed, c);
	rc = apply_file(&changed, file, e);
	if (rc < 0)
		err_prefix(e, rc, "%s", name);
	json_decref(file);
	return settle(c, &changed, rc);
}

static bool
is_table_env(const char *var)
{
	EACH_OPTION (o)
		if (o->env != NULL && strcmp(o->env, var) == 0)
			return true;
	return false;
}

/* ORCH_AGENT_* of our environment, but those that are options. */
static int
add_agent_env(struct conf *c, struct err *e)
{
	int rc = 0;

	for (char **p = environ; *p != NULL && rc == 0; p++) {
		size_t n = strcspn(*p, "=");
		char *var;
		json_t *value;

		if (strncmp(*p, CONF_AGENT_PREFIX, strlen(CONF_AGENT_PREFIX)) != 0 || (*p)[n] == '\0' ||
		    (*p)[n + 1] == '\0')
			continue;
		var = xstrndup(*p, n);
		if (is_table_env(var)) {
			free(var);
			continue;
		}
		value = json_string(*p + n + 1);
		rc = value == NULL ? err_set(e, -EINVAL, "%s must be UTF-8 text", var)
				   : conf_check_var("environment", var, value, e);
		if (rc == 0) {
			if (c->agent_env == NULL)
				c->agent_env = json_object();
			json_object_set(c->agent_env, var, value);
		}
		json_decref(value);
		free(var);
	}
	return rc < 0 || c->agent_env == NULL ? rc : conf_check_map("agent_env", c->agent_env, e);
}

int
conf_from_env(struct conf *c, struct err *e)
{
	struct conf changed;
	int rc = 0;

	copy(&changed, c);
	EACH_OPTION (o) {
		const char *value = o->env == NULL ? NULL : getenv(o->env);

		if (value != NULL && value[0] != '\0')
			rc = set_text(&changed, o, o->env, value, e);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = add_agent_env(&changed, e);
	return settle(c, &changed, rc);
}

static const struct option *
find_flag(const char *arg, size_t n)
{
	EACH_OPTION (o)
		if (o->flag != NULL && strlen(o->flag) == n && strncmp(o->flag, arg, n) == 0)
			return o;
	return NULL;
}

int
conf_from_flag(struct conf *c, int argc, char *const *argv, int *i, struct err *e)
{
	const char *arg = argv[*i], *value;
	size_t n = strcspn(arg, "=");
	const struct option *o = find_flag(arg, n);
	bool joined = arg[n] == '=';
	int rc;

	if (o == NULL)
		return 0;
	value = joined ? arg + n + 1 : *i + 1 < argc ? argv[*i + 1] : NULL;
	if (value == NULL || (!joined && strncmp(value, "--", 2) == 0))
		return err_set(e, -EINVAL, "%s needs a value", o->flag);
	rc = set_text(c, o, o->flag, value, e);
	if (rc < 0)
		return rc;
	*i += joined ? 1 : 2;
	return 1;
}

static bool
is_default_list(const struct conf *c, const struct option *o)
{
	json_t *def = is_list(o) ? json_loads(o->text, 0, NULL) : NULL;
	bool same = def != NULL && json_equal(def, *json_of(c, o));

	json_decref(def);
	return same;
}

char *
conf_freeze(const struct conf *c)
{
	json_t *frozen = json_object();
	char *text;

	EACH_OPTION (o) {
		const char *s;

		if (is_number(o)) {
			if (*number_of(c, o) != o->number)
				json_object_set_new(
				    frozen, o->field, json_integer((json_int_t)*number_of(c, o)));
		} else if (o->kind == KIND_str) {
			s = *text_of(c, o);
			if (s != NULL && (o->text == NULL || strcmp(s, o->text) != 0))
				json_object_set_new(frozen, o->field, json_string(s));
		} else if (*json_of(c, o) != NULL && !is_default_list(c, o)) {
			json_object_set(frozen, o->field, *json_of(c, o));
		}
	}
	text = json_text(frozen);
	json_decref(frozen);
	return text;
}

int
conf_thaw(struct conf *c, const char *json, struct err *e)
{
	json_t *frozen = json_parse("options", json, strlen(json), e);
	struct conf changed;
	int rc = 0;

	if (frozen == NULL)
		return -EINVAL;
	if (!json_is_object(frozen)) {
		json_decref(frozen);
		return err_set(e, -EINVAL, "options must be a JSON object");
	}
	conf_init(&changed);
	EACH_OPTION (o) {
		json_t *value = json_object_get(frozen, o->field);

		if (value != NULL)
			rc = set_json(&changed, o, value, true, e);
		if (rc < 0)
			break;
	}
	json_decref(frozen);
	return settle(c, &changed, rc);
}

/* The role's own value where it is given. */
#define OF_ROLE(c, field, role)                                                                              \
	((role) == CONF_DIRECTOR && (c)->field##_director  ? (c)->field##_director                           \
	    : (role) == CONF_EM && (c)->field##_em         ? (c)->field##_em                                 \
	    : (role) == CONF_WORKER && (c)->field##_worker ? (c)->field##_worker                             \
							   : (c)->field)

void
conf_agent_options(const struct conf *c, enum conf_role role, struct agent_options *o)
{
	*o = (struct agent_options){
	    .model = OF_ROLE(c, model, role),
	    .max_turns = OF_ROLE(c, max_turns, role),
	    .max_musd = OF_ROLE(c, max_musd, role),
	    .allowed_tools = OF_ROLE(c, allowed_tools, role),
	    .args = OF_ROLE(c, agent_args, role),
	};
}

void
conf_each(
    void (*fn)(void *arg, const char *flag, const char *env, const char *key, const char *help), void *arg)
{
	EACH_OPTION (o)
		fn(arg, o->flag, o->env, o->key, o->help);
}
