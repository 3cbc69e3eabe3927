/*
 * bench_rivals: orchd beside s6, runit and supervisord, each with 100 and 1,000 processes of one and the same
 * program (orch-test-fakerole), which marks in shared memory when it began. Under orchd it also says HELLO:
 * they are units like any. A rival that is not installed is left out, and said so (script/bootstrap --bench).
 * Arguments: those to be measured, by name.
 */
#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "common/proc.h"
#include "supervisor/unit.h"
#include "tests/bench/lib/bigrun.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"
#include "tests/helper/lib/testrepo.h"
#include "tests/helper/mark.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define MANY 1000
#define FEW 100
#define KILLS 20
#define CRASHES 3 /* in a row */
#define STABLE_MS (UNIT_STABLE_MS + 200)
#define IDLE_MS 6000
#define AREA 48 /* workers of one EM */
#define DEADLINE_MS 60000

static struct testrepo *place; /* of the present session */
static struct mark_file *marks;
static pid_t root; /* the supervisor */

static void
rest(int64_t ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		continue;
}

static void
reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

/* Everything below us ends, whatever it is; also at exit. */
static void
clear_away(void)
{
	int left;

	do {
		left = proc_kill_descendants(NULL, NULL);
		reap();
		rest(left > 0 ? 5 : 0);
	} while (left > 0);
	root = 0;
	if (marks != NULL)
		munmap(marks, sizeof(*marks));
	marks = NULL;
	testrepo_free(place);
	place = NULL;
}

static pid_t
start(const char *const *argv)
{
	struct child_spec s;
	struct err e = {""};
	pid_t pid;

	child_spec_init(&s);
	s.argv = argv;
	s.cwd = place->top;
	s.session = true;
	if (child_spawn(&s, &pid, NULL, &e) < 0)
		bench_die("%s", e.msg);
	return pid;
}

/* Its output thrown away; milliseconds. */
static double
run(const char *const *argv)
{
	int64_t begin = bench_ns();
	pid_t pid = start(argv);

	while (waitpid(pid, NULL, 0) < 0)
		if (errno != EINTR)
			bench_die("waitpid: %s", strerror(errno));
	return bench_ms_since(begin);
}

/* Supervisors. prepare() writes what start() needs for n processes; they may leave what start_new() made. */

static char *
role_program(void)
{
	return team_program("orch-test-fakerole");
}

static void
start_orchd(int n)
{
	static const char *const roles[] = {"orch-director", "orch-em", "orch-worker"};
	struct run_list runs = TAILQ_HEAD_INITIALIZER(runs);
	char *bin = testrepo_path(place, "bin"), *orchd = testrepo_path(place, "bin/orchd"),
	     *fakes = testrepo_path(place, "fakes");
	char *program = role_program(),
	     *folder = xstrndup(program, (size_t)(strrchr(program, '/') - program));
	const char *argv[] = {orchd, NULL};
	struct repo repo;
	struct err e = {""};

	unsetenv("ORCH_STATE_DIR");
	if (fd_mkdirs(bin, 0755) < 0 || fd_mkdirs(fakes, 0755) < 0 ||
	    repo_find(&repo, place->top, NULL, &e) < 0 || repo_make_dirs(&repo, &e) < 0)
		bench_die("%s", e.msg);
	setenv("ORCH_FAKE_DIR", fakes, 1);
	testrepo_program(folder, "orchd", bin, "orchd");
	testrepo_program(folder, "orchctl", bin, "orchctl");
	for (size_t i = 0; i < 3; i++)
		testrepo_program(folder, "orch-test-fakerole", bin, roles[i]);
	bigrun_add(&runs, "1", n - 1, AREA, BIGRUN_RUNNING);
	bigrun_store(&runs, &repo);
	root = start(argv);
	repo_clear(&repo);
	free(folder);
	free(program);
	free(fakes);
	free(orchd);
	free(bin);
}

/* A folder of services, each with nothing but the program as its "run". */
static char *
service_folder(int n)
{
	char *dir = testrepo_path(place, "services"), *program = role_program();

	for (int i = 0; i < n; i++) {
		char *one = xasprintf("%s/p%d", dir, i), *link = xasprintf("%s/run", one);

		if (fd_mkdirs(one, 0755) < 0 || symlink(program, link) < 0)
			bench_die("cannot make %s", link);
		free(link);
		free(one);
	}
	free(program);
	return dir;
}

static void
start_s6(int n)
{
	char *dir = service_folder(n);

	root = start((const char *const[]){"s6-svscan", "-c", "1010", dir, NULL});
	free(dir);
}

static void
start_runit(int n)
{
	char *dir = service_folder(n);

	root = start((const char *const[]){"runsvdir", dir, NULL});
	free(dir);
}

static void
start_supervisord(int n)
{
	char *file = testrepo_path(place, "supervisord.conf"), *program = role_program();
	char *text =
	    xasprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
		      "pidfile=%s/pid\nminfds=4096\nminprocs=2048\n"
		      "[unix_http_server]\nfile=%s/sock\n"
		      "[rpcinterface:supervisor]\n"
		      "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
		      "[supervisorctl]\nserverurl=unix://%s/sock\n"
		      "[program:p]\ncommand=%s\nprocess_name=p%%(process_num)d\nnumprocs=%d\n"
		      "startsecs=0\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
		place->root, place->root, place->root, program, n);

	testrepo_write(place, "supervisord.conf", text);
	root = start((const char *const[]){"supervisord", "-c", file, NULL});
	free(text);
	free(program);
	free(file);
}

static double
status_orchd(void)
{
	char *orchctl = testrepo_path(place, "bin/orchctl");
	double ms = run((const char *const[]){orchctl, "status", "1", NULL});

	free(orchctl);
	return ms;
}

static double
status_s6(void)
{
	char *dir = testrepo_path(place, "services"),
	     *all = xasprintf("for d in %s/*; do s6-svstat $d; done", dir);
	double ms = run((const char *const[]){"/bin/sh", "-c", all, NULL});

	free(all);
	free(dir);
	return ms;
}

static double
status_runit(void)
{
	char *dir = testrepo_path(place, "services"), *all = xasprintf("exec sv status %s/*", dir);
	double ms = run((const char *const[]){"/bin/sh", "-c", all, NULL});

	free(all);
	free(dir);
	return ms;
}

static double
status_supervisord(void)
{
	char *file = testrepo_path(place, "supervisord.conf");
	double ms = run((const char *const[]){"supervisorctl", "-c", file, "status", NULL});

	free(file);
	return ms;
}

static const struct rival {
	const char *name, *program; /* NULL: ours */
	void (*start)(int n);
	double (*status)(void);
	int stop_signal;
} rivals[] = {
    {"orchd", NULL, start_orchd, status_orchd, SIGTERM},
    {"s6", "s6-svscan", start_s6, status_s6, SIGTERM},
    {"runit", "runsvdir", start_runit, status_runit, SIGHUP},
    {"supervisord", "supervisord", start_supervisord, status_supervisord, SIGTERM},
};
#define RIVALS (sizeof(rivals) / sizeof(rivals[0]))

/* Marks. */

static uint32_t
begun(void)
{
	uint32_t n = atomic_load(&marks->count);

	if (n > MARK_MAX)
		bench_die("more than %d processes began", MARK_MAX);
	return n;
}

/* The time of the last of the first n to begin; waits for it. */
static int64_t
await_begun(uint32_t n, const char *who)
{
	int64_t deadline = bench_ns() + (int64_t)DEADLINE_MS * 1000000, last = 0;
	struct timespec ts = {0, 100000};

	for (uint32_t i = 0; i < n; i++) {
		int64_t ns;

		while (i >= atomic_load(&marks->count) || (ns = atomic_load(&marks->list[i].ns)) == 0) {
			if (bench_ns() > deadline)
				bench_die("%s: %u of %u processes began", who, i, n);
			nanosleep(&ts, NULL);
		}
		last = ns > last ? ns : last;
	}
	return last;
}

static bool
is_marked(pid_t pid)
{
	for (uint32_t i = 0; i < begun(); i++)
		if (marks->list[i].pid == pid || marks->list[i].stray == pid)
			return true;
	return false;
}

/* The supervisor with its helpers, without what it supervises. */
struct supervisor {
	double pss_kib, cpu_ms;
	uint64_t wakeups;
};

static void
look_at(pid_t pid, struct supervisor *s)
{
	char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL, *at;
	unsigned long long user = 0, system = 0, switches = 0;
	pid_t *children;
	int n;

	s->pss_kib += bench_pss(pid);
	if (fd_read_file(path, 4096, &text, NULL) == 0 && (at = strrchr(text, ')')) != NULL)
		sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system);
	s->cpu_ms += (double)(user + system) * 1000 / (double)sysconf(_SC_CLK_TCK);
	free(text);
	free(path);
	text = NULL;
	path = xasprintf("/proc/%d/status", (int)pid);
	if (fd_read_file(path, 65536, &text, NULL) == 0 &&
	    (at = strstr(text, "\nvoluntary_ctxt_switches:")) != NULL)
		sscanf(at, "\nvoluntary_ctxt_switches: %llu", &switches);
	s->wakeups += switches;
	free(text);
	free(path);
	n = proc_children(pid, &children);
	for (int i = 0; i < n; i++)
		if (!is_marked(children[i]))
			look_at(children[i], s);
	if (n >= 0)
		free(children);
}

/* Sessions. */

static void
row(const struct rival *r, const char *what, double value, double p99, const char *aim)
{
	char *name = xasprintf("%-12s %s", r->name, what);

	bench_row(name, value, p99, -1, r->program == NULL ? aim : "");
	free(name);
}

static void
open_session(int n)
{
	char *path;

	place = testrepo_new();
	path = testrepo_path(place, "marks");
	marks = mark_open(path, O_RDWR | O_CREAT);
	if (marks == NULL)
		bench_die("cannot make %s", path);
	setenv("ORCH_MARK_FILE", path, 1);
	free(path);
	marks->strays = n == FEW;
}

static void
measure_status(const struct rival *r, const char *what, const char *aim)
{
	struct samples s = {0};

	for (int i = 0; i < (r->program == NULL ? 15 : 3); i++)
		samples_add(&s, r->status());
	row(r, what, samples_median(&s), -1, aim);
	samples_clear(&s);
}

static void
measure_start(const struct rival *r, int n, const char *what, const char *aim)
{
	int64_t begin = bench_ns();

	r->start(n);
	row(r, what, (double)(await_begun((uint32_t)n, r->name) - begin) / 1e6, -1, aim);
}

static void
measure_memory(const struct rival *r, const char *what, const char *aim)
{
	struct supervisor s = {0};

	look_at(root, &s);
	row(r, what, s.pss_kib / 1024, -1, aim);
}

static void
measure_idle(const struct rival *r)
{
	struct supervisor a = {0}, b = {0};

	look_at(root, &a);
	rest(IDLE_MS);
	look_at(root, &b);
	row(r, "idle, 100: CPU, ms a minute", (b.cpu_ms - a.cpu_ms) * 60000 / IDLE_MS, -1, "<= 60");
	row(r, "idle, 100: wake-ups a minute", (double)(b.wakeups - a.wakeups) * 60000 / IDLE_MS, -1, "");
}

static double
kill_one(const struct rival *r, uint32_t victim)
{
	uint32_t before = begun();
	int64_t at = bench_ns();

	kill(marks->list[victim].pid, SIGKILL);
	return (double)(await_begun(before + 1, r->name) - at) / 1e6;
}

/* All at once, then one by one those that had come back and were stable, then one again and again. */
static void
measure_deaths(const struct rival *r)
{
	struct samples one = {0}, again = {0};
	uint32_t first = begun();
	int64_t at;

	rest(STABLE_MS);
	at = bench_ns();
	for (uint32_t i = 0; i < FEW; i++)
		kill(marks->list[i].pid, SIGKILL);
	row(r, "100 killed at once, all back, ms", (double)(await_begun(first + FEW, r->name) - at) / 1e6, -1,
	    "<= 100");
	rest(STABLE_MS);
	for (uint32_t i = 0; i < KILLS; i++) {
		samples_add(&one, kill_one(r, first + i));
		rest(20);
	}
	row(r, "restart after SIGKILL, ms", samples_median(&one), samples_at(&one, 0.99), "<= 2 / 6");
	for (int i = 0; i < CRASHES; i++) {
		rest(20); /* it is past its HELLO */
		samples_add(&again, kill_one(r, begun() - 1));
	}
	/* All have died once before, so that these are the third to the fifth death. */
	row(r, "restart in a crash loop, ms, first", again.v[0], -1, "400 +- 20 %");
	row(r, "restart in a crash loop, ms, third", again.v[CRASHES - 1], -1, "1,600 +- 20 %");
	samples_clear(&one);
	samples_clear(&again);
}

static bool
is_alive(pid_t pid)
{
	uint64_t ticks;

	return pid > 0 && proc_start_time(pid, &ticks) == 0;
}

/* Of those whose parent died (all but each unit's last), and of all once the supervisor was told to stop. */
static void
measure_strays(const struct rival *r)
{
	unsigned crash = 0, stop = 0;
	int64_t deadline = bench_ns() + INT64_C(20000000000);

	rest(100);
	for (uint32_t i = 0; i < begun(); i++)
		crash += !is_alive(marks->list[i].pid) && is_alive(marks->list[i].stray);
	kill(root, r->stop_signal);
	while (waitpid(root, NULL, WNOHANG) == 0 && bench_ns() < deadline)
		rest(5);
	rest(100);
	reap();
	for (uint32_t i = 0; i < begun(); i++)
		stop += is_alive(marks->list[i].stray);
	row(r, "grandchildren left after crashes", crash, -1, "0");
	row(r, "grandchildren left after the stop", stop, -1, "0");
}

static void
few(const struct rival *r)
{
	open_session(FEW);
	measure_start(r, FEW, "start of 100, ms", "<= 100");
	rest(500);
	measure_memory(r, "PSS with 100, MiB", "<= 3");
	measure_status(r, "status of 100, ms", "<= 2");
	measure_idle(r);
	measure_deaths(r);
	measure_strays(r);
	clear_away();
}

static void
many(const struct rival *r)
{
	open_session(MANY);
	measure_start(r, MANY, "start of 1,000, ms", "<= 900");
	rest(2000);
	measure_memory(r, "PSS with 1,000, MiB", "<= 10");
	measure_status(r, "status of 1,000, ms", "<= 5");
	clear_away();
}

/* All of them without any name. */
static bool
is_asked_for(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

int
main(int argc, char **argv)
{
	struct err e = {""};

	atexit(clear_away);
	proc_become_subreaper();
	for (size_t i = 0; i < RIVALS; i++) {
		char *path = NULL;

		if (!is_asked_for(rivals[i].name, argc, argv))
			continue;
		if (rivals[i].program != NULL && child_find_program(rivals[i].program, &path, &e) < 0) {
			bench_note("%s is not installed", rivals[i].name);
			continue;
		}
		few(&rivals[i]);
		many(&rivals[i]);
		free(path);
	}
	return 0;
}
