/*
 * orchd: owns processes, limits, durable state and sockets of one repository. Runs no git, no agent, no HTTP.
 * This file: the command line, the lock that makes it the only one, and how it goes into the background.
 */
#include "common/alloc.h"
#include "common/child.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/sibling.h"
#include "supervisor/front.h"
#include "supervisor/handover.h"
#include "supervisor/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define LOCK_WAIT_MS 2000
#define LOCK_LOOK_MS 10

static const char usage[] =
    "usage: orchd [--daemon] [--repo DIR]      supervise the runs of this repository\n"
    "       orchd run ARGUMENTS                one run in the foreground; exits with its result\n"
    "                                          (takes what `orchctl run` takes)\n"
    "       orchd --help | --version\n"
    "\n"
    "orchctl starts orchd by itself when none runs; it leaves when it has had nothing to do for a minute.\n";

struct options {
	const char *dir;
	bool background;
	char **run_args;      /* NULL: no "run" */
	const char *takeover; /* from an orchd that was this process; NULL */
	struct handover from;
};

static int
parse_args(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("orchd " ORCH_VERSION);
			exit(0);
		} else if (strcmp(argv[i], "--daemon") == 0) {
			o->background = true;
		} else if (strcmp(argv[i], "--repo") == 0 && i + 1 < argc) {
			o->dir = argv[++i];
		} else if (strcmp(argv[i], "--takeover") == 0 && i + 1 < argc) {
			o->takeover = argv[++i];
			if (handover_parse(&o->from, o->takeover) < 0) {
				fprintf(stderr, "orchd: --takeover is for orchd itself\n");
				return -EINVAL;
			}
		} else if (strcmp(argv[i], "run") == 0) {
			o->run_args = argv + i;
			return 0;
		} else {
			fprintf(stderr, "orchd: unknown argument \"%s\"; see orchd --help\n", argv[i]);
			return -EINVAL;
		}
	}
	return 0;
}

/*
 * What a killed orchd was about to start has its open files until the exec: until then the lock, too, so that
 * by its mark we can find whatever it leaves us. pid gets the number of who took the lock.
 */
static bool
is_being_left(int fd, char *pid, size_t size)
{
	ssize_t n = pread(fd, pid, size - 1, 0);
	uint64_t ticks;

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return pid[0] != '\0' && proc_start_time((pid_t)atoi(pid), &ticks) < 0;
}

static bool
lock_file(int fd, char *pid, size_t size)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		struct timespec ts = {.tv_nsec = LOCK_LOOK_MS * 1000000};

		if (!is_being_left(fd, pid, size) || i >= LOCK_WAIT_MS / LOCK_LOOK_MS)
			return false;
		nanosleep(&ts, NULL);
	}
	return true;
}

/*
 * The lock is held by the open file for as long as this process lives, whoever reads the pid in it. Returns
 * the fd.
 */
static int
take_lock(const struct repo *repo, struct err *e)
{
	char *path = xasprintf("%s/lock", repo->state), pid[32] = "";
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;

	if (fd < 0) {
		rc = err_sys(e, -errno, "cannot open %s", path);
	} else if (!lock_file(fd, pid, sizeof(pid))) {
		rc =
		    err_set(e, -EEXIST, "another orchd (pid %s) already serves %s; use orchctl to talk to it",
			pid[0] == '\0' ? "unknown" : pid, repo->git_dir);
		fd_close(&fd);
	} else {
		int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

		if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
			rc = err_sys(e, -errno, "cannot write %s", path);
	}
	free(path);
	return rc < 0 ? rc : fd;
}

/*
 * Forks; the parent waits until the child says that it serves, or why it does not, and exits accordingly.
 * Returns the pipe to say it on, in the child.
 */
static int
go_background(int log_fd)
{
	int ready[2], in;
	char answer[1024];
	pid_t pid;
	ssize_t n;

	if (fd_pipe(ready, false) < 0)
		fatal("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid > 0) {
		fd_close(&ready[1]);
		n = fd_read(ready[0], answer, sizeof(answer) - 1);
		if (n == 1 && answer[0] == '+')
			_exit(0);
		if (n > 0)
			fprintf(stderr, "orchd: %.*s\n", (int)n, answer);
		else
			fprintf(stderr, "orchd: ended before it was ready; see its log\n");
		_exit(EXIT_USAGE);
	}
	fd_close(&ready[0]);
	setsid();
	in = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(in, 0);
	dup2(log_fd, 1);
	dup2(log_fd, 2);
	fd_close(&in);
	return ready[1];
}

/* The lock, and what else makes it the only one; from a predecessor that was this process as they are. */
static int
begin(struct daemon *d, const struct options *o, int *lock, struct err *e)
{
	int rc;

	d->listen_fd = -1;
	*lock = o->takeover != NULL ? o->from.lock : take_lock(&d->repo, e);
	if (*lock < 0)
		return *lock;
	if (o->takeover == NULL)
		return daemon_start(d, -1, e);
	d->listen_fd = o->from.listen;
	d->front_pid = o->from.front;
	rc = daemon_start(d, o->from.keys, e);
	close(o->from.keys);
	return rc;
}

/* Of an orchd that could not start; without the lock nothing but the names is there. */
static void
give_back(struct daemon *d, int lock)
{
	if (lock >= 0) {
		daemon_clear(d);
		fd_close(&lock);
		return;
	}
	notify_close(&d->notify);
	repo_clear(&d->repo);
	free(d->log_path);
	conf_clear(&d->conf);
}

/* What is needed before the folders are made, and those. log_fd: where words go that nobody waits for. */
static int
prepare(struct daemon *d, const struct options *o, int *front, int *log_fd, struct err *e)
{
	int rc = conf_from_env(&d->conf, e);

	if (rc == 0)
		rc = repo_find(&d->repo, o->dir, NULL, e);
	if (rc == 0 && o->run_args != NULL)
		rc = front_start(d, o->run_args, front, e);
	if (rc == 0)
		rc = repo_make_dirs(&d->repo, e);
	if (rc == 0 && o->takeover == NULL && (o->background || o->run_args != NULL)) {
		*log_fd = logfile_open(&d->repo, "orchd.log", d->conf.log_max_mb << 20, NULL, e);
		d->log_path = xasprintf("%s/logs/orchd.log", d->repo.state);
		d->log_max = d->conf.log_max_mb << 20;
		rc = *log_fd < 0 ? *log_fd : 0;
	}
	return rc;
}

/* The front, when there is one, sees its socket close and ends without a word: the reason is ours to tell. */
static int
refuse(struct daemon *d, int lock, int front, int ready, const struct err *e)
{
	if (ready >= 0)
		(void)!write(ready, e->msg, strlen(e->msg));
	fprintf(stderr, "orchd: %s\n", e->msg);
	fd_close(&front);
	if (d->front_pid > 0)
		waitpid(d->front_pid, NULL, 0);
	give_back(d, lock);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	struct daemon d;
	struct err e = {""};
	int lock = -1, log_fd = -1, ready = -1, front = -1, rc, code;

	memset(&d, 0, sizeof(d));
	log_init("orchd");
	proc_hide_memory(); /* nobody of this user reads the keys out of our memory */
	if (parse_args(argc, argv, &o) < 0)
		return EXIT_USAGE;
	umask(077);
	if (notify_open(&d.notify, &e) < 0)
		log_warn("%s; the service manager is told nothing", e.msg);
	conf_init(&d.conf);
	rc = prepare(&d, &o, &front, &log_fd, &e);
	if (rc == -ECANCELED) { /* the front has said why */
		give_back(&d, -1);
		return d.front_status;
	}
	if (rc < 0)
		return refuse(&d, -1, front, -1, &e);
	if (o.background && o.takeover == NULL)
		ready = go_background(log_fd);
	d.foreground = !o.background;
	rc = begin(&d, &o, &lock, &e);
	if (rc < 0)
		return refuse(&d, lock, front, ready, &e);
	if (o.run_args != NULL)
		dup2(log_fd, 2); /* the terminal is the front's now */
	front_watch(&d);
	configs_wipe_environment();
	front_go(&front);
	if (ready >= 0)
		(void)!write(ready, "+", 1);
	fd_close(&ready);
	fd_close(&log_fd);
	log_info("orchd " ORCH_VERSION " serves %s", d.repo.git_dir);
	notify_send(&d.notify, "READY=1");
	rc = daemon_run(&d);
	if (rc == 0 && d.handover && !d.stopping) {
		handover_exec(&d, lock, o.background, o.dir);
		return 70;
	}
	front_wait(&d);
	code = rc < 0 ? 70 : d.front_status;
	log_info("orchd leaves");
	daemon_clear(&d);
	fd_close(&lock);
	return code;
}
