/*
 * cmd_doctor: orchctl doctor: looks at everything a run needs and says what to do about what is missing. One
 * function per check; it changes nothing and starts nothing.
 */
#include "supervisor/ctl/cmds.h"

#include "common/clock.h"
#include "common/cmd.h"
#include "common/fd.h"
#include "common/sibling.h"
#include "common/text.h"
#include "supervisor/ctl/doctor.h"
#include "supervisor/ctl/out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define DISK_LEAST_MIB 1024
#define LOCK_STALE_S 600
#define GIT_MS 30000
#define GIT_MAJOR 2 /* merge-tree --write-tree is in git since 2.38 */
#define GIT_MINOR 38

/* Runs git in the checkout; its output as one line in *line. 0, or its sentence. */
static int
run_git(struct ctl *c, const char *const *args, char **line, struct err *e)
{
	const char *argv[8] = {"git", "-C", c->repo.top};
	struct cmd_spec s = {.argv = argv, .out_max = 4096, .err_max = 4096, .timeout_ms = GIT_MS};
	struct cmd_result r;
	int rc, n = 3;

	while (*args != NULL)
		argv[n++] = *args++;
	argv[n] = NULL;
	rc = cmd_run(&c->loop, &s, &r, e);
	if (rc < 0)
		return rc;
	if (cmd_ok(&r)) {
		*line = text_line(r.out, 512);
	} else {
		char *words = text_line(r.err, 400);

		rc = err_set(e, -EIO, "%s", r.timed_out ? "git does not answer" : words);
		free(words);
	}
	cmd_result_clear(&r);
	return rc;
}

static void
check_git(struct ctl *c, struct finding *f)
{
	static const char *const args[] = {"version", NULL};
	struct err e = {""};
	char *line = NULL;
	int major = 0, minor = 0;

	if (run_git(c, args, &line, &e) < 0)
		found(f, FINDING_ERROR, "install git 2.38 or later", "%s", e.msg);
	else if (sscanf(line, "git version %5d.%5d", &major, &minor) != 2 || major < GIT_MAJOR ||
		 (major == GIT_MAJOR && minor < GIT_MINOR))
		found(f, FINDING_ERROR, "install git 2.38 or later", "%s is too old", line);
	else
		found(f, FINDING_OK, "", "%s", line);
	free(line);
}

static void
check_repository(struct ctl *c, struct finding *f)
{
	static const char *const args[] = {"rev-parse", "--verify", "HEAD^{commit}", NULL};
	struct err e = {""};
	char *line = NULL;

	if (run_git(c, args, &line, &e) == 0)
		found(f, FINDING_OK, "", "%s, at commit %.12s", c->repo.top, line);
	else if (strstr(e.msg, "safe.directory") != NULL)
		found(f, FINDING_ERROR,
		    "git config --global --add safe.directory <the repository>, if you trust it",
		    "%s belongs to another user", c->repo.top);
	else
		found(f, FINDING_ERROR, "make a first commit, or check out a branch that has one", "%s: %s",
		    c->repo.top, e.msg);
	free(line);
}

/* The folder itself, or the nearest one above it that exists. */
static void
nearest_folder(char *buf, size_t size, const char *path)
{
	struct stat st;

	snprintf(buf, size, "%s", path);
	while (stat(buf, &st) < 0 && strrchr(buf, '/') != NULL && strrchr(buf, '/') != buf)
		*strrchr(buf, '/') = '\0';
}

static void
check_state(struct ctl *c, struct finding *f)
{
	const char *places[] = {c->repo.state, c->repo.worktrees};
	char folder[4096];

	for (size_t i = 0; i < 2; i++) {
		nearest_folder(folder, sizeof(folder), places[i]);
		if (access(folder, W_OK | X_OK) == 0)
			continue;
		found(f, FINDING_ERROR, "make it writable, or set ORCH_STATE_DIR to a folder that is",
		    "cannot write in %s: %s", folder, strerror(errno));
		return;
	}
	found(f, FINDING_OK, "", "state in %s, worktrees in %s", c->repo.state, c->repo.worktrees);
}

static void
check_disk(struct ctl *c, struct finding *f)
{
	const char *places[] = {c->repo.state, c->repo.worktrees};
	unsigned long long least = 0;
	char folder[4096];
	struct statvfs fs;

	for (size_t i = 0; i < 2; i++) {
		unsigned long long mib;

		nearest_folder(folder, sizeof(folder), places[i]);
		if (statvfs(folder, &fs) < 0) {
			found(f, FINDING_WARNING, "look at the file system",
			    "cannot tell the free space of %s: %s", folder, strerror(errno));
			return;
		}
		mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
		least = i == 0 || mib < least ? mib : least;
		if (mib < DISK_LEAST_MIB) {
			found(f, FINDING_WARNING, "free some space: every worker has a checkout of its own",
			    "%llu MiB are free at %s", mib, folder);
			return;
		}
	}
	found(f, FINDING_OK, "", "%llu MiB are free", least);
}

static void
check_programs(struct ctl *c, struct finding *f)
{
	static const char *const programs[] = {
	    "orchd", "orch-director", "orch-em", "orch-worker", "orch-gateway"};
	struct err e = {""};
	char *path = NULL;

	(void)c;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (sibling_path(programs[i], &path, &e) < 0) {
			found(f, FINDING_ERROR, "install orch again", "%s", e.msg);
			return;
		}
		free(path);
	}
	found(f, FINDING_OK, "", "orch %s is complete", ORCH_VERSION);
}

static void
check_orchd(struct ctl *c, struct finding *f)
{
	struct err e = {""};
	int rc = client_open(&c->client, &c->loop, &c->repo, false, &e);

	if (rc == 0)
		found(f, FINDING_OK, "", "running and answering");
	else if (rc == -ECONNREFUSED)
		found(f, FINDING_OK, "", "not running; orchctl run starts it");
	else
		found(f, FINDING_ERROR, "look at its log, then orchctl restart", "%s", e.msg);
}

static void
check_limits(struct ctl *c, struct finding *f)
{
	unsigned long long most = c->conf.max_ems * c->conf.max_workers_per_em, all = c->conf.max_agents;

	found(f, FINDING_OK, "",
	    "%llu EMs, %llu workers each: up to %llu agents at once; one starts with %llu MB of memory and "
	    "%llu "
	    "MB of disk free; ceilings: %llu MB each, %llu MB all, %llu processes each (0: none)",
	    (unsigned long long)c->conf.max_ems, (unsigned long long)c->conf.max_workers_per_em,
	    all > 0 && all < most ? all : most, (unsigned long long)c->conf.min_free_memory_mb,
	    (unsigned long long)c->conf.min_free_disk_mb, (unsigned long long)c->conf.agent_memory_mb,
	    (unsigned long long)c->conf.total_memory_mb, (unsigned long long)c->conf.agent_max_processes);
}

static void
check_user(struct ctl *c, struct finding *f)
{
	(void)c;
	if (geteuid() == 0)
		found(f, FINDING_WARNING, "run orch as a user of its own",
		    "running as root: agents can then read the keys, and change anything on this machine");
	else
		found(f, FINDING_OK, "", "user %u; agents have the same rights as this user",
		    (unsigned)geteuid());
}

static void
check_locks(struct ctl *c, struct finding *f)
{
	static const char *const locks[] = {"index.lock", "HEAD.lock", "config.lock", "packed-refs.lock"};
	char path[4096], age[32], todo[512];
	struct stat st;

	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", c->repo.git_dir, locks[i]);
		if (stat(path, &st) < 0 || time(NULL) - st.st_mtime < LOCK_STALE_S)
			continue;
		clock_age(age, sizeof(age), (int64_t)(time(NULL) - st.st_mtime) * 1000);
		snprintf(todo, sizeof(todo), "if no git runs in this repository: rm %.400s", path);
		found(f, FINDING_WARNING, todo, "%s is %s old: a git that was killed left it", path, age);
		return;
	}
	found(f, FINDING_OK, "", "none that is stale");
}

static const struct {
	const char *name;
	void (*check)(struct ctl *, struct finding *);
} checks[] = {
    {"git", check_git},
    {"repository", check_repository},
    {"state", check_state},
    {"disk", check_disk},
    {"agent", doctor_agent},
    {"programs", check_programs},
    {"orchd", check_orchd},
    {"limits", check_limits},
    {"user", check_user},
    {"locks", check_locks},
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))
#define FINDINGS_MAX 32 /* with those of keys and machine */

int
cmd_doctor(struct ctl *c)
{
	struct finding findings[FINDINGS_MAX];
	struct out o = {stdout, clock_wall_ms()};
	int rc = CTL_OK;
	size_t n = 0;

	memset(findings, 0, sizeof(findings));
	for (; n < CHECKS; n++) {
		findings[n].name = checks[n].name;
		checks[n].check(c, &findings[n]);
	}
	n += doctor_keys(c, findings + n, FINDINGS_MAX - n);
	n += doctor_sandbox(c, findings + n, FINDINGS_MAX - n);
	for (size_t i = 0; i < n; i++)
		if (findings[i].level == FINDING_ERROR)
			rc = CTL_FAILED;
	(c->args.json ? &out_json : &out_text)->doctor(&o, findings, n);
	return rc;
}
