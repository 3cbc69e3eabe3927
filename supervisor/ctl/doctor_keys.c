/*
 * doctor_keys: the agent, the keys it would get, and the endpoints they are for. No key leaves this process:
 * whether an endpoint answers is asked without one.
 */
#include "supervisor/ctl/doctor.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/cmd.h"
#include "common/configs.h"
#include "common/endpoint.h"
#include "common/text.h"
#include "supervisor/ctl/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ENDPOINT "https://api.anthropic.com"
#define ENDPOINTS_MAX 8
#define VERSION_MS 15000

void
doctor_agent(struct ctl *c, struct finding *f)
{
	const char *argv[] = {NULL, "--version", NULL};
	struct cmd_spec s = {.argv = argv, .out_max = 4096, .err_max = 4096, .timeout_ms = VERSION_MS};
	struct cmd_result r;
	struct err e = {""};
	char *path = NULL, *line;

	if (child_find_program(c->conf.agent, &path, &e) < 0) {
		found(
		    f, FINDING_ERROR, "install it, or name another with --agent or ORCH_AGENT", "%s", e.msg);
		return;
	}
	argv[0] = path;
	if (cmd_run(&c->loop, &s, &r, &e) < 0) {
		found(f, FINDING_ERROR, "install it again", "%s: %s", path, e.msg);
		free(path);
		return;
	}
	line = text_line(r.out, 100);
	if (cmd_ok(&r) && line[0] != '\0')
		found(f, FINDING_OK, "", "%s, version %s", path, line);
	else
		found(f, FINDING_WARNING, "run it with --version by hand, and see what it says",
		    "%s does not tell its version%s", path, r.timed_out ? " within 15 s" : "");
	free(line);
	free(path);
	cmd_result_clear(&r);
}

static const char *
base_url(const struct config *k)
{
	for (char **p = k->env; *p != NULL; p++)
		if (strncmp(*p, "ANTHROPIC_BASE_URL=", 19) == 0)
			return *p + 19;
	return DEFAULT_ENDPOINT;
}

static bool
asked_before(const struct configs *k, size_t i)
{
	for (size_t o = 0; o < i; o++)
		if (strcmp(base_url(&k->v[o]), base_url(&k->v[i])) == 0)
			return true;
	return false;
}

/* failed: how bad it is when it does not answer. */
static void
check_endpoint(
    struct ctl *c, const char *url, const char *whose, enum finding_level failed, struct finding *f)
{
	struct endpoint seen;
	struct err e = {""};
	char *text;

	f->name = "endpoint";
	if (endpoint_probe(&c->loop, url, &seen, &e) < 0) {
		found(f, FINDING_WARNING, "install orch again", "cannot look at the endpoint of %s: %s",
		    whose, e.msg);
		return;
	}
	text = endpoint_text(&seen);
	if (seen.stage == ENDPOINT_ANSWER)
		found(f, FINDING_OK, "", "%s: %s", whose, text);
	else
		found(f, failed, "look at the address, the proxy (HTTPS_PROXY) and the firewall", "%s: %s",
		    whose, text);
	free(text);
}

static void
list_names(const struct configs *k, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < k->count && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", i == 0 ? "" : ", ", k->v[i].name);
}

static size_t
check_configs(struct ctl *c, struct finding *f, size_t room)
{
	struct configs k;
	struct err e = {""};
	char names[256];
	size_t n = 1;

	if (configs_parse(&k, keys_origin(c), c->keys, strlen(c->keys), &e) < 0) {
		found(&f[0], FINDING_ERROR, "correct it", "%s", e.msg);
		return n;
	}
	list_names(&k, names, sizeof(names));
	found(&f[0], FINDING_OK, "", "%zu configuration%s from %s%s: %s%s", k.count, k.count == 1 ? "" : "s",
	    keys_origin(c), c->args.keys_file != NULL ? " (only you can read it)" : "", names,
	    k.count == 1 ? "" : "; agents get the first");
	for (size_t i = 0; i < k.count && n < room && n <= ENDPOINTS_MAX; i++)
		if (!asked_before(&k, i))
			check_endpoint(c, base_url(&k.v[i]), k.v[i].name, FINDING_ERROR, &f[n++]);
	configs_clear(&k);
	return n;
}

size_t
doctor_keys(struct ctl *c, struct finding *f, size_t room)
{
	struct err e = {""};

	f[0].name = "keys";
	if (keys_read(c, &e) < 0) {
		found(&f[0], FINDING_ERROR, "correct it, or leave it out to use your own login", "%s", e.msg);
		return 1;
	}
	if (c->keys != NULL)
		return check_configs(c, f, room);
	found(&f[0], FINDING_OK, "", "none given: agents use your own login");
	check_endpoint(c, DEFAULT_ENDPOINT, "your own login", FINDING_WARNING, &f[1]);
	return 2;
}
