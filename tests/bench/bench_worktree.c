/*
 * bench_worktree: what a fresh worktree of a large repository (50,000 files; ORCH_BENCH_FILES) costs: git's
 * own ways, copies of a worktree that is there already, and ours; one alone, and four that are wanted at the
 * same moment. Everything is on the file system of $TMPDIR.
 */
#include "common/alloc.h"
#include "common/cmd.h"
#include "tests/bench/lib/sample.h"
#include "tests/helper/lib/testrepo.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 3
#define AT_ONCE 4
#define PER_FOLDER 100

/* Commits that many files of 0.3 to 5 KiB, the same in every run, by one fast-import. */
static void
make_files(struct testrepo *t, unsigned files)
{
	static const char line[] = "a line of some code that is about as long as code is\n";
	char *path = testrepo_path(t, "import"), *cmd;
	FILE *f = fopen(path, "w");

	if (f == NULL)
		bench_die("%s: %s", path, strerror(errno));
	fputs("commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 4\nbase\n", f);
	for (unsigned i = 0; i < files; i++) {
		unsigned folder = i / PER_FOLDER, lines = 5 + i * 7919u % 96u;
		char first[16];
		int n = snprintf(first, sizeof(first), "%u\n", i);

		fprintf(f, "M 100644 inline src/d%02u/e%03u/f%03u.c\ndata %zu\n%s", folder % 25, folder / 25,
		    i % PER_FOLDER, (size_t)n + lines * (sizeof(line) - 1), first);
		for (unsigned k = 0; k < lines; k++)
			fputs(line, f);
		fputc('\n', f);
	}
	if (fclose(f) != 0)
		bench_die("%s: %s", path, strerror(errno));
	cmd = xasprintf(
	    "!git fast-import --quiet --force < '%s' && git reset -q --hard && rm '%s'", path, path);
	testrepo_do(t, NULL, "config", "alias.fill", cmd, NULL);
	testrepo_do(t, NULL, "fill", NULL);
	free(cmd);
	free(path);
}

static void
drop(struct testrepo *t, const char *dir)
{
	char *cmd = xasprintf("!rm -rf '%s/%s' && git worktree prune", t->root, dir);

	testrepo_do(t, NULL, "config", "alias.drop", cmd, NULL);
	testrepo_do(t, NULL, "drop", NULL);
	free(cmd);
}

/* Each way makes wt/a; "seed" is a worktree that is there already. */
static const struct way {
	const char *name, *command;
} ways[] = {
    {"git worktree add", "git worktree add -q --detach ../wt/a main"},
    {"  with 4 checkout processes", "git -c checkout.workers=4 worktree add -q --detach ../wt/a main"},
    {"git clone --shared", "git clone -q --shared . ../wt/a"},
    {"no checkout, index copied, files copied",
	"git worktree add -q --no-checkout --detach ../wt/a main && cp -a --reflink=auto ../seed/src "
	"../wt/a/ && "
	"cp .git/worktrees/seed/index .git/worktrees/a/index && cd ../wt/a && git update-index -q --refresh"},
    {"no checkout, index copied, hard links (unsafe)",
	"git worktree add -q --no-checkout --detach ../wt/a main && cp -al ../seed/src ../wt/a/ && "
	"cp .git/worktrees/seed/index .git/worktrees/a/index && cd ../wt/a && git update-index -q --refresh"},
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static double
one_way(struct testrepo *t, const struct way *w)
{
	char *alias = xasprintf("!%s", w->command);
	int64_t begin;
	double ms;

	testrepo_do(t, NULL, "config", "alias.way", alias, NULL);
	begin = bench_ns();
	testrepo_do(t, NULL, "way", NULL);
	ms = bench_ms_since(begin);
	free(alias);
	drop(t, "wt/a");
	return ms;
}

static void
add_ours(struct testrepo *t, unsigned n)
{
	char *path = testrepo_path(t, "wt/o%u", n), *branch = xasprintf("cco/1-em1-w%u", n);

	if (git_worktree_add(&t->git, path, branch, "main", &t->e) < 0)
		bench_die("%s", t->e.msg);
	free(path);
	free(branch);
}

/* So many processes, as workers are, each makes one by our way. */
static double
ours(struct testrepo *t, unsigned count)
{
	int64_t begin = bench_ns();
	double ms;

	for (unsigned i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_die("fork: %s", strerror(errno));
		if (pid == 0) {
			event_reinit(t->loop.base);
			add_ours(t, i);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < count; i++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			bench_die("one of ours failed");
	}
	ms = bench_ms_since(begin);
	for (unsigned i = 0; i < count; i++) {
		char *path = testrepo_path(t, "wt/o%u", i), *branch = xasprintf("cco/1-em1-w%u", i);

		if (git_worktree_remove(&t->git, path, &t->e) < 0)
			bench_die("%s", t->e.msg);
		testrepo_do(t, NULL, "branch", "-qD", branch, NULL);
		free(path);
		free(branch);
	}
	return ms;
}

int
main(void)
{
	const char *given = getenv("ORCH_BENCH_FILES");
	unsigned files = given == NULL ? 50000 : (unsigned)strtoul(given, NULL, 10);
	struct testrepo *t = testrepo_new();
	struct samples all[N_WAYS] = {{0}}, alone = {0}, four = {0};
	double floor;

	make_files(t, files);
	testrepo_do(t, NULL, "worktree", "add", "-q", "--detach", "../seed", "main", NULL);
	for (size_t i = 0; i < ROUNDS; i++) {
		for (size_t w = 0; w < N_WAYS; w++)
			samples_add(&all[w], one_way(t, &ways[w]));
		samples_add(&alone, ours(t, 1));
		samples_add(&four, ours(t, AT_ONCE));
	}
	floor = samples_median(&all[0]);
	bench_note("a worktree of %u files", files);
	for (size_t w = 0; w < N_WAYS; w++) {
		char *name = xasprintf("%s, ms", ways[w].name);

		bench_row(name, samples_median(&all[w]), samples_at(&all[w], 1), w == 0 ? -1 : floor, "");
		free(name);
	}
	bench_row("ours, ms", samples_median(&alone), samples_at(&alone, 1), floor, "");
	bench_row("four of ours at once, ms (four times git's)", samples_median(&four), samples_at(&four, 1),
	    AT_ONCE * floor, "");
	for (size_t w = 0; w < N_WAYS; w++)
		samples_clear(&all[w]);
	samples_clear(&alone);
	samples_clear(&four);
	testrepo_free(t);
	return 0;
}
