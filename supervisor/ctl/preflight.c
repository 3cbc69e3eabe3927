/* preflight: see preflight.h. One JSON object in, one line of JSON out, or a sentence on stderr and exit 2.
 */
#include "supervisor/ctl/preflight.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/cmd.h"
#include "common/configs.h"
#include "common/json.h"
#include "common/sibling.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define CHECK_MS 120000              /* git on a cold disk with a huge index */
#define OUTPUT_MAX (2 * 1024 * 1024) /* the text of an issue, as JSON */
#define REFUSED 2

static char *
question(const struct ctl *c, const struct preflight_question *q)
{
	json_t *j = json_object();
	json_t *options = json_parse("options", q->options_json, strlen(q->options_json), NULL);
	char *text;

	json_object_set_new(j, "top", json_string(c->repo.top));
	json_object_set_new(j, "git_dir", json_string(c->repo.git_dir));
	json_object_set_new(j, "state", json_string(c->repo.state));
	json_object_set_new(j, "worktrees", json_string(c->repo.worktrees));
	json_object_set_new(j, "options", options);
	if (q->issue != NULL && q->token != NULL) {
		json_object_set_new(j, "issue", json_string(q->issue));
		json_object_set_new(j, "token", json_string(q->token));
		json_object_set_new(j, "fetch", json_boolean(q->fetch));
		json_object_set_new(j, "look_for_saved", json_boolean(q->look_for_saved));
		json_object_set_new(j, "forget_saved", json_boolean(q->forget_saved));
		json_object_set_new(j, "check_author", json_boolean(q->check_author));
	}
	if (q->actor != NULL) {
		json_object_set_new(j, "actor", json_string(q->actor));
		json_object_set_new(j, "token", json_string(q->token));
	}
	if (q->pull != 0 && q->token != NULL) {
		json_object_set_new(j, "pull", json_integer((json_int_t)q->pull));
		json_object_set_new(j, "token", json_string(q->token));
		json_object_set_new(j, "trust", json_boolean(q->trust));
		json_object_set_new(j, "look_for_saved", json_boolean(q->look_for_saved));
	}
	text = json_text(j);
	json_decref(j);
	return text;
}

static bool
is_oid(const char *s)
{
	size_t n = s == NULL ? 0 : strspn(s, "0123456789abcdef");

	return (n == 40 || n == 64) && s[n] == '\0';
}

static int
read_answer(struct preflight *p, const char *text, size_t size, struct err *e)
{
	json_t *j = json_parse("orch-director --check", text, size, e), *notes;
	const char *base, *branch, *options;
	char *list;
	int rc = 0;

	if (j == NULL)
		return -EIO;
	base = json_str(j, "base");
	branch = json_str(j, "base_branch");
	options = json_str(j, "options");
	notes = json_object_get(j, "notes");
	list = notes == NULL ? NULL : json_text(notes);
	if (!is_oid(base))
		rc = err_set(e, -EIO, "orch-director --check named no base commit");
	else if (list != NULL)
		rc = json_to_strv(list, &p->notes, e);
	if (rc == 0) {
		strcpy(p->base, base);
		p->options = xstrdup(options); /* absent: they are fine as they are */
		p->github = json_is_true(json_object_get(j, "github"));
		p->title = xstrdup(json_str(j, "title"));
		p->text = xstrdup(json_str(j, "text"));
		p->head_branch = xstrdup(json_str(j, "head_branch"));
		p->remarks = (uint64_t)json_integer_value(json_object_get(j, "remarks"));
		p->issue = xstrdup(json_str(j, "issue"));
		p->restore = xstrdup(json_str(j, "restore"));
		p->base_branch = xstrdup(branch != NULL && branch[0] != '\0' ? branch : NULL);
	}
	free(list);
	json_decref(j);
	return rc;
}

/* The last line of what it said: its sentence, whatever was logged before. */
static int
refusal(const struct cmd_result *r, struct err *e)
{
	size_t n = r->err_size;
	const char *start;
	char status[128], *line;

	while (n > 0 && strchr(" \n\r\t", r->err[n - 1]) != NULL)
		r->err[--n] = '\0';
	start = strrchr(r->err, '\n');
	line = text_line(start == NULL ? r->err : start + 1, sizeof(e->msg) - 1);
	/* Our own name comes before the sentence; its would be one too many. */
	if (WIFEXITED(r->status) && WEXITSTATUS(r->status) == REFUSED && line[0] != '\0')
		err_set(e, 0, "%s", strncmp(line, "orch-director: ", 15) == 0 ? line + 15 : line);
	else if (r->timed_out)
		err_set(
		    e, 0, "the check before the run (orch-director --check) took over %d s", CHECK_MS / 1000);
	else
		err_set(e, 0, "the check before the run (orch-director --check) %s: %s",
		    child_status_text(status, sizeof(status), r->status), line);
	free(line);
	return -EINVAL;
}

/* r is to be cleared after 0. */
static int
ask(struct ctl *c, const char *in, struct cmd_result *r, struct err *e)
{
	char *program = NULL;
	const char *argv[] = {NULL, "--check", NULL};
	struct cmd_spec s = {
	    .argv = argv, .out_max = OUTPUT_MAX, .err_max = OUTPUT_MAX, .timeout_ms = CHECK_MS};
	int rc = sibling_path("orch-director", &program, e);

	if (rc < 0)
		return rc;
	argv[0] = program;
	s.in = in;
	s.in_size = strlen(in);
	rc = cmd_run(&c->loop, &s, r, e);
	free(program);
	return rc;
}

int
preflight_run(struct preflight *p, struct ctl *c, const struct preflight_question *q, struct err *e)
{
	char *in = question(c, q);
	struct cmd_result r;
	int rc;

	memset(p, 0, sizeof(*p));
	rc = ask(c, in, &r, e);
	if (rc == 0) {
		rc = cmd_ok(&r) ? read_answer(p, r.out, r.out_size, e) : refusal(&r, e);
		cmd_result_clear(&r);
	}
	if (rc == 0 && p->options == NULL)
		p->options = xstrdup(q->options_json);
	configs_wipe_free(in);
	return rc;
}

int
preflight_actor(struct ctl *c, const char *login, char level[16], struct err *e)
{
	char *options = conf_freeze(&c->conf);
	const struct preflight_question q = {.options_json = options, .actor = login, .token = c->token};
	char *in = question(c, &q);
	struct cmd_result r;
	int rc = ask(c, in, &r, e);

	if (rc == 0) {
		json_t *j = cmd_ok(&r) ? json_parse("orch-director --check", r.out, r.out_size, e) : NULL;
		const char *said = json_str(j, "permission");

		rc = !cmd_ok(&r)    ? refusal(&r, e)
		     : said == NULL ? err_set(e, -EIO, "orch-director --check named no permission")
				    : 0;
		snprintf(level, 16, "%s", said == NULL ? "" : said);
		json_decref(j);
		cmd_result_clear(&r);
	}
	configs_wipe_free(in);
	free(options);
	return rc;
}

void
preflight_clear(struct preflight *p)
{
	free(p->base_branch);
	free(p->options);
	free(p->title);
	free(p->text);
	free(p->head_branch);
	free(p->issue);
	free(p->restore);
	strv_free(p->notes);
	memset(p, 0, sizeof(*p));
}
