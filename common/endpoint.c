/* endpoint: see endpoint.h. What orch-probe writes is data of another process and read as such. */
#include "common/endpoint.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/json.h"
#include "common/sibling.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_MS 6000 /* orch-probe gives up after 5 s by itself */

static const char *const stages[] = {
#define E(NAME, name) name,
    ENDPOINT_STAGES(E)
#undef E
};

static void
copy_line(char *to, size_t size, const char *text)
{
	char *line = text_line(text != NULL ? text : "", size - 1);

	strlcpy(to, line, size);
	free(line);
}

static bool
read_stage(const char *name, enum endpoint_stage *stage)
{
	for (size_t i = 0; name != NULL && i < sizeof(stages) / sizeof(stages[0]); i++) {
		if (strcmp(stages[i], name) == 0) {
			*stage = (enum endpoint_stage)i;
			return true;
		}
	}
	return false;
}

static int
read_report(const char *text, size_t size, struct endpoint *r, struct err *e)
{
	json_t *j = json_parse("orch-probe", text, size, e);
	json_int_t status = json_integer_value(json_object_get(j, "status"));

	if (j == NULL)
		return -EPROTO;
	memset(r, 0, sizeof(*r));
	if (!read_stage(json_str(j, "stage"), &r->stage)) {
		json_decref(j);
		return err_set(e, -EPROTO, "orch-probe reported no stage");
	}
	r->status = status > 0 && status < 1000 ? (int)status : 0;
	r->us = json_integer_value(json_object_get(j, "us"));
	r->timed_out = json_is_true(json_object_get(j, "timeout"));
	copy_line(r->where, sizeof(r->where), json_str(j, "where"));
	copy_line(r->address, sizeof(r->address), json_str(j, "address"));
	copy_line(r->error, sizeof(r->error), json_str(j, "error"));
	json_decref(j);
	return 0;
}

int
endpoint_probe(struct loop *l, const char *url, struct endpoint *r, struct err *e)
{
	const char *argv[2] = {NULL, NULL};
	struct cmd_spec spec = {.argv = argv,
	    .in = url,
	    .in_size = strlen(url),
	    .out_max = 8192,
	    .err_max = 512,
	    .timeout_ms = PROBE_MS};
	struct cmd_result out;
	char *program;
	int rc = sibling_path("orch-probe", &program, e);

	if (rc < 0)
		return rc;
	argv[0] = program;
	rc = cmd_run(l, &spec, &out, e);
	free(program);
	if (rc < 0)
		return rc;
	if (cmd_ok(&out))
		rc = read_report(out.out, out.out_size, r, e);
	else
		rc = err_set(e, -EIO, "orch-probe did not end well: %.200s", out.err);
	cmd_result_clear(&out);
	return rc;
}

char *
endpoint_text(const struct endpoint *r)
{
	char age[32];
	const char *at = r->address[0] != '\0' ? r->address : "it";

	snprintf(age, sizeof(age), "%lld ms", (long long)((r->us + 999) / 1000));
	switch (r->stage) {
	case ENDPOINT_URL:
		return xstrdup(
		    "The base URL is no URL of an endpoint: http:// or https:// and a host are wanted.");
	case ENDPOINT_DNS:
		return xasprintf("A probe of %s found no address for its name (%s).", r->where, r->error);
	case ENDPOINT_CONNECT:
		return xasprintf("A probe of %s could not connect to %s (%s).", r->where, at, r->error);
	case ENDPOINT_TLS:
		return xasprintf(
		    "A probe of %s connected to %s, but TLS failed (%s).", r->where, at, r->error);
	case ENDPOINT_HTTP:
		return xasprintf("A probe of %s connected to %s, but got no HTTP answer %s (%s).", r->where,
		    at, r->timed_out ? "within 5 s" : "from it", r->error);
	case ENDPOINT_ANSWER:
		break;
	}
	return xasprintf("A probe of %s was answered with HTTP status %d after %s: it is there.", r->where,
	    r->status, age);
}
