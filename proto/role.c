/* role: set-up, end and shared requests of director, em and worker (see role.h). */
#include "proto/role.h"

#include "common/agent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/configs.h"
#include "common/disk.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/redact.h"
#include "common/taskid.h"
#include "common/text.h"
#include "proto/perms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEAM_WAIT_MS 10000
#define SECRETS_WAIT_MS 10000
#define LINK_FD 3
#define ROOM_MIN_MS 500
#define ROOM_MAX_MS 30000

/* The environments of this task's agents and gates: who they work for, and no way up into orchd. */
static void
make_env(struct role *r)
{
	const char *instance = getenv("ORCH_INSTANCE");
	char *extra[16] = {0};
	size_t n = 0;

	extra[n++] = xasprintf("ORCH_ROLE=%s", perms_who_name(r->kind->who));
	extra[n++] = xasprintf("ORCH_TASK=%s", r->assign->task);
	extra[n++] = xasprintf("ORCH_TASK_KEY=%s", r->assign->key == NULL ? "" : r->assign->key);
	extra[n++] = xasprintf("ORCH_RUN=%s", r->assign->run);
	if (instance != NULL)
		extra[n++] = xasprintf("ORCH_INSTANCE=%s", instance);
	if (r->port_base != 0) {
		extra[n++] = xasprintf("ORCH_PORT_BASE=%llu", (unsigned long long)r->port_base);
		extra[n++] = xasprintf("ORCH_PORT_COUNT=%llu", (unsigned long long)r->conf.port_step);
	}
	if (r->assign->checkout != NULL)
		extra[n++] = xasprintf("ORCH_CHECKOUT=%s", r->assign->checkout);
	/* Their HOME is private: without this git would not let them commit, or as nobody. */
	if (r->author_name != NULL) {
		extra[n++] = xasprintf("GIT_AUTHOR_NAME=%s", r->author_name);
		extra[n++] = xasprintf("GIT_AUTHOR_EMAIL=%s", r->author_mail);
		extra[n++] = xasprintf("GIT_COMMITTER_NAME=%s", r->author_name);
		extra[n++] = xasprintf("GIT_COMMITTER_EMAIL=%s", r->author_mail);
	}
	strv_free(r->gate_env);
	configs_wipe_strv(r->env);
	r->gate_env = agent_env(&r->conf, r->assign->state_dir, (const char *const *)extra, NULL);
	r->env = agent_env(
	    &r->conf, r->assign->state_dir, (const char *const *)extra, (const char *const *)r->keys);
	for (size_t i = 0; i < n; i++)
		free(extra[i]);
}

/* What must not leave us, anew from the secrets that we have. */
static void
change_redact(struct role *r)
{
	struct redact *fresh = redact_new();

	for (char **p = r->keys; p != NULL && *p != NULL; p++) {
		size_t n = strcspn(*p, "=");

		if ((*p)[n] == '=' && configs_is_secret(*p, n))
			redact_add(fresh, r->keys_name, *p + n + 1);
	}
	if (r->token != NULL)
		redact_add(fresh, "GITHUB_TOKEN", r->token);
	log_set_redact(fresh);
	if (r->link != NULL)
		link_set_redact(r->link, fresh);
	redact_free(r->redact);
	r->redact = fresh;
}

/* Their values go into the environment of agents that start from now on, and nowhere else. */
static int
take_secrets(struct role *r, const struct msg_secrets *m, struct err *e)
{
	char **keys;
	int rc = configs_env_parse(m->env_json, &keys, e);

	if (rc < 0)
		return rc;
	configs_wipe_strv(r->keys);
	r->keys = keys;
	xreplace(&r->keys_name, m->name);
	r->answer_ms = (int64_t)m->answer_ms;
	r->idle_ms = (int64_t)m->idle_ms;
	change_redact(r);
	if (r->env != NULL) /* not the first time */
		make_env(r);
	return 0;
}

/* The token, or an orchd that was started anew and asks for it. */
static void
take_token(struct role *r, const struct msg_role_token *m)
{
	const struct msg back = {.id = MSG_HAS_TOKEN, .has_token = {.token = r->token}};

	if (m->token == NULL) {
		if (r->token != NULL)
			link_post(r->link, &back);
		return;
	}
	proc_hide_memory();
	configs_wipe_free(r->token);
	r->token = xstrdup(m->token);
	r->tokened = true;
	change_redact(r);
}

/* That nothing can serve the agent explains its end; that a request needed two tries may. */
static bool
is_decisive(const char *kind)
{
	return strcmp(kind, "limited") == 0 || strcmp(kind, "refused") == 0 || strcmp(kind, "budget") == 0;
}

bool
role_seen_decides(const struct role *r)
{
	return is_decisive(r->seen.kind);
}

static void
take_seen(struct role *r, const struct msg_seen *m)
{
	if (role_seen_decides(r) && !is_decisive(m->kind))
		return;
	snprintf(r->seen.kind, sizeof(r->seen.kind), "%s", m->kind);
	snprintf(r->seen.text, sizeof(r->seen.text), "%s", m->text);
	r->seen.until = m->until;
}

static void
take_row(struct role *r, const char *row)
{
	size_t n = strlen(row);

	r->dump = xrealloc(r->dump, r->dump_size + n + 2);
	memcpy(r->dump + r->dump_size, row, n);
	strcpy(r->dump + r->dump_size + n, "\n");
	r->dump_size += n + 1;
}

static void
on_msg(void *arg, const struct msg *m)
{
	struct role *r = arg;
	struct err e = {{0}};

	if (m->id == MSG_CHILD) {
		if (team_apply(&r->team, &m->child, &e) < 0)
			log_warn("a CHILD was ignored: %s", e.msg);
	} else if (m->id == MSG_END) {
		r->team.complete = true;
		r->team.changed = true;
	} else if (m->id == MSG_SECRETS) {
		if (take_secrets(r, &m->secrets, &e) < 0)
			log_warn("the SECRETS were ignored: %s", e.msg);
		r->keyed = true;
		r->keyings++;
	} else if ((m->id == MSG_RUN_INFO || m->id == MSG_TASK_INFO) && r->view != NULL) {
		view_put(r->view, m, NULL);
	} else if (m->id == MSG_SAVED_ROW) {
		take_row(r, m->saved_row.row);
	} else if (m->id == MSG_ROLE_TOKEN) {
		take_token(r, &m->role_token);
	} else if (m->id == MSG_ROUND) {
		xreplace(&r->review, m->round.review_json);
	} else if (m->id == MSG_CEILING) {
		const struct ptree_over over = {.what = PTREE_OVER_TOTAL,
		    .ceiling = m->ceiling.ceiling_mb << 20,
		    .use = m->ceiling.use_mb << 20};

		ptree_put_over(&r->trees, &over);
	} else if (m->id == MSG_SEEN) {
		take_seen(r, &m->seen);
	} else if (m->id == MSG_STOP) {
		r->cancel_asked = m->stop.cancelled;
		if (m->stop.cancelled && r->cancel_interrupts) /* the link stops the loop for all others */
			loop_stop(&r->loop, 0);
	}
}

/* They come right behind ASSIGN. An agent without them would use somebody's own login instead. */
static int
await_secrets(struct role *r, struct err *e)
{
	int rc = 0;

	if (r->assign->secrets && !r->keyed)
		rc = loop_wait(&r->loop, &r->keyed, clock_now_ms() + SECRETS_WAIT_MS);
	if (rc == -ETIMEDOUT || (rc == 0 && r->assign->secrets && r->keys == NULL))
		return err_set(e, -EPROTO, "orchd did not send the keys of %s", r->assign->task);
	/* It came right behind them. */
	if (rc == 0 && r->assign->token && r->token == NULL)
		rc = loop_wait(&r->loop, &r->tokened, clock_now_ms() + SECRETS_WAIT_MS);
	if (rc == -ETIMEDOUT)
		return err_set(e, -EPROTO, "orchd did not send the token of %s", r->assign->task);
	link_set_redact(r->link, r->redact);
	return rc;
}

static int
take_guarded(struct role *r, struct err *e)
{
	json_t *all = json_copy(r->conf.protected_paths), *more;
	char *text;
	int rc;

	if (r->assign->guarded_json != NULL) {
		more = json_parse("guarded", r->assign->guarded_json, strlen(r->assign->guarded_json), e);
		json_array_extend(all, more);
		json_decref(more);
	}
	text = json_text(all);
	rc = json_to_strv(text, &r->guarded, e);
	free(text);
	json_decref(all);
	return rc;
}

static int
take_areas(struct role *r, struct err *e)
{
	const char *text = r->assign->verify_json;

	known_gate_parse(&r->known, r->assign->gate, r->assign->gate_own);
	if (text == NULL)
		return 0;
	r->areas = json_parse("verify", text, strlen(text), e);
	return r->areas == NULL ? -EINVAL : 0;
}

bool
role_has_gate(const struct role *r)
{
	return r->conf.verify != NULL || json_array_size(r->areas) > 0;
}

static void
open_trees(struct role *r)
{
	const struct ptree_limits limits = {
	    .memory = r->conf.agent_memory_mb << 20, .pids = r->conf.agent_max_processes};
	char why[PTREE_WHY_MAX];

	ptree_plan_init(&r->trees, r->conf.tree, &limits, why);
	r->loop.trees = &r->trees;
	log_debug("agents and gates are kept by %s", ptree_rung_words(r->trees.rung));
	if (why[0] != '\0')
		log_warn("tree %s is not to be had (%s): %s instead", r->conf.tree, why,
		    ptree_rung_words(r->trees.rung));
}

static int
heal(struct role *r, struct err *e)
{
	char *found = NULL;
	int rc = git_heal(&r->git, &found, e);

	if (found != NULL)
		log_warn("the machine went down while a run was under way: %s", found);
	free(found);
	return rc;
}

static int
open_role(struct role *r, struct err *e)
{
	int rc;

	r->ops = (struct link_ops){.on_msg = on_msg, .arg = r};
	rc = link_open(&r->link, &r->loop, r->kind->who, &r->ops, &r->assign, e);
	if (rc < 0)
		return rc;
	if (!taskid_valid(r->assign->task))
		return err_set(e, -EINVAL, "orchd assigned a task with a bad id: %s", r->assign->task);
	rc = conf_thaw(&r->conf, r->assign->options_json, e);
	if (rc == 0)
		rc = json_to_strv(r->assign->owns_json, &r->owns, e);
	if (rc == 0)
		rc = take_guarded(r, e);
	if (rc == 0)
		rc = take_areas(r, e);
	if (rc < 0)
		return rc;
	log_set_level((enum log_level)log_level_parse(r->conf.log));
	open_trees(r);
	git_init(&r->git, &r->loop, r->assign->git_dir);
	r->git.co_author = xstrdup(r->conf.co_author);
	rc = await_secrets(r, e);
	if (rc == 0)
		rc = heal(r, e);
	if (rc == 0)
		rc = role_furnish_open(r, e);
	if (rc < 0)
		return rc;
	role_take_ports(r);
	/* Asked of git here: new keys make the environment anew in a callback, which must not wait. */
	if (r->kind->who == WHO_WORKER)
		git_identity(&r->git, &r->author_name, &r->author_mail, NULL);
	make_env(r);
	r->worktree = taskid_worktree(r->assign->state_dir, r->assign->task);
	r->spent = (struct usage){r->assign->cost_uusd, r->assign->tokens_in, r->assign->tokens_out};
	r->past =
	    (struct usage){r->assign->past_cost_uusd, r->assign->past_tokens_in, r->assign->past_tokens_out};
	if (r->assign->session != NULL)
		snprintf(r->session, sizeof(r->session), "%s", r->assign->session);
	return 0;
}

static void
close_role(struct role *r)
{
	link_free(r->link);
	log_set_redact(NULL);
	redact_free(r->redact);
	configs_wipe_strv(r->keys);
	configs_wipe_free(r->token);
	free(r->keys_name);
	configs_wipe_strv(r->env);
	free(r->review);
	team_clear(&r->team);
	git_clear(&r->git);
	conf_clear(&r->conf);
	strv_free(r->owns);
	strv_free(r->guarded);
	json_decref(r->areas);
	free(r->dump);
	strv_free(r->gate_env);
	free(r->worktree);
	free(r->author_name);
	free(r->author_mail);
	fd_close(&r->port_lock);
	ptree_plan_clear(&r->trees);
	loop_clear(&r->loop);
}

static void
save_work(struct role *r)
{
	const char *why = link_stop_reason(r->link);

	log_info("stopping: %s", why == NULL ? "asked to" : why);
	if (r->kind->stopped == NULL)
		return;
	r->loop.stop_masked++;
	r->kind->stopped(r);
	r->loop.stop_masked--;
}

/*
 * A full disk is nobody's crash: to be started again and again would only use up our lives. The next look is
 * soon, it costs a process, and whoever makes room watches.
 */
static int
forgive_disk(struct role *r, int failure, struct err *e)
{
	int64_t pause = (int64_t)r->conf.retry_delay_ms * 2;
	struct err ignored = {{0}};
	char *text;
	int rc;

	if (!disk_is_blamed(failure, e->msg) && role_check_room(r, e) == 0)
		return failure;
	text = xasprintf("%s; this goes on by itself when there is room", e->msg);
	pause = pause < ROOM_MIN_MS ? ROOM_MIN_MS : pause > ROOM_MAX_MS ? ROOM_MAX_MS : pause;
	rc = role_wait(r, (uint64_t)(clock_wall_ms() + pause), false, text, &ignored);
	free(text);
	return rc == 0 ? ROLE_OVER : rc;
}

static int
serve(const struct role_kind *kind)
{
	struct role r = {.kind = kind, .port_lock = -1};
	struct err e = {{0}};
	int rc;

	if (loop_init(&r.loop) < 0)
		fatal("cannot set up the event loop");
	conf_init(&r.conf);
	loop_watch_absence(&r.loop, 0);
	rc = loop_own_descendants(&r.loop);
	if (rc < 0)
		err_sys(&e, rc, "cannot become the reaper of its agents");
	else
		rc = open_role(&r, &e);
	if (rc == 0) {
		log_info("serving %s, %s", r.assign->task, r.assign->state);
		rc = kind->run(&r, &e);
	}
	if (rc < 0 && rc != -ECANCELED && r.assign != NULL)
		rc = forgive_disk(&r, rc, &e);
	if (rc == -ECANCELED)
		save_work(&r);
	else if (rc < 0)
		log_error("%s", e.msg[0] != '\0' ? e.msg : strerror(-rc));
	close_role(&r);
	return rc < 0 && rc != -ECANCELED ? 1 : 0;
}

static bool
has_link(void)
{
	struct stat st;

	return fstat(LINK_FD, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
role_main(int argc, char **argv, const struct role_kind *kind)
{
	log_init(kind->program);
	if (argc > 1) {
		if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
			fputs(kind->usage, stdout);
			return 0;
		}
		if (strcmp(argv[1], "--version") == 0) {
			printf("%s %s\n", kind->program, ORCH_VERSION);
			return 0;
		}
		fprintf(stderr, "%s: unknown argument %s: see %s --help\n", kind->program, argv[1],
		    kind->program);
		return 2;
	}
	if (!has_link()) {
		fprintf(stderr, "%s is started by orchd, with a socket on fd 3: use orchctl run\n",
		    kind->program);
		return 2;
	}
	return serve(kind);
}

int
role_await_team(struct role *r, struct err *e)
{
	int rc = loop_wait(&r->loop, &r->team.complete, clock_now_ms() + TEAM_WAIT_MS);

	if (rc == -ETIMEDOUT)
		err_set(e, rc, "orchd did not tell the children of %s within %d s", r->assign->task,
		    TEAM_WAIT_MS / 1000);
	return rc;
}

void
role_remove_tmp(struct role *r, const char *task)
{
	char *home = taskid_home(r->assign->state_dir, task), *tmp = agent_tmpdir(home);

	fd_remove_tree(tmp);
	free(home);
	free(tmp);
}

int
role_note(struct role *r, const struct msg_note *note, struct err *e)
{
	const struct msg m = {.id = MSG_NOTE, .note = *note};

	return link_call(r->link, &m, NULL, e);
}

/* Other parties' words fit for the wire; a required text is never empty. */
static char *
words(const char *s, size_t max)
{
	if (s == NULL || *s == '\0')
		s = "no reason was given";
	return text_utf8(s, strlen(s), max);
}

int
role_fail(struct role *r, const char *task, const char *reason, struct err *e)
{
	char *why = words(reason, TEXT_MAX - 1);
	const struct msg m = {.id = MSG_FAIL, .fail = {.task = task, .reason = why}};
	int rc;

	log_warn("%s cannot be done: %s", task, why);
	rc = link_call(r->link, &m, NULL, e);
	free(why);
	return rc;
}

int
role_rework(struct role *r, const char *task, const char *reason, const char *evidence,
    const char *merge_from, struct err *e)
{
	char *why = words(reason, TEXT_MAX - 1), *what = words(evidence, EVIDENCE_MAX - 1);
	const struct msg m = {.id = MSG_REWORK,
	    .rework = {.task = task, .reason = why, .evidence = what, .merge_from = merge_from}};
	int rc;

	log_info("%s goes back to work: %s", task, why);
	rc = link_call(r->link, &m, NULL, e);
	free(why);
	free(what);
	return rc;
}

int
role_wait(struct role *r, uint64_t until_ms, bool limit, const char *reason, struct err *e)
{
	char *why = words(reason, TEXT_MAX - 1);
	const struct msg m = {.id = MSG_WAIT, .wait = {.until = until_ms, .reason = why, .limit = limit}};
	int rc;

	log_info("waiting: %s", why);
	rc = link_call(r->link, &m, NULL, e);
	free(why);
	return rc;
}

int
role_check_room(const struct role *r, struct err *e)
{
	const char *paths[] = {r->assign->git_dir, r->assign->state_dir, r->assign->log_dir};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (disk_is_full(paths[i], e))
			return -ENOSPC;
	return 0;
}

int
role_attempt_failed(struct role *r, const char *reason, bool ceiling, struct err *e)
{
	char *why = words(reason, TEXT_MAX - 1);
	const struct msg m = {
	    .id = MSG_ATTEMPT_FAILED, .attempt_failed = {.reason = why, .ceiling = ceiling}};
	int rc;

	log_warn("attempt %llu failed: %s", (unsigned long long)r->assign->attempt, why);
	rc = link_call(r->link, &m, NULL, e);
	free(why);
	return rc;
}

static struct msg
saved_event(const char *task, const char *ref, const char *text)
{
	return (struct msg){
	    .id = MSG_EVENT, .event = {.task = task, .kind = "saved", .text = text, .saved = ref}};
}

int
role_saved(struct role *r, const char *task, const char *ref, const char *text, struct err *e)
{
	const struct msg m = saved_event(task, ref, text);

	log_info("%s: %s", task, text);
	return link_call(r->link, &m, NULL, e);
}

void
role_post_saved(struct role *r, const char *task, const char *ref, const char *text)
{
	const struct msg m = saved_event(task, ref, text);

	log_info("%s: %s", task, text);
	link_post(r->link, &m);
}
