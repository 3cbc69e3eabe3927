/* kinds: see kinds.h. A kind is a function that writes down tasks, scripts and the outcome. */
#include "tests/suite/lib/kinds.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Red: a file bad*; what a *.needs lists is not there; what a *.clashes lists is. */
const char suite_gate[] =
    "for f in */bad*; do test ! -e \"$f\" || { echo \"$f is bad\"; exit 1; }; done\n"
    "for f in */*.needs; do test -e \"$f\" || continue; while read -r d; do\n"
    "  test -e \"$d\" || { echo \"$f needs $d\"; exit 1; }; done < \"$f\"; done\n"
    "for f in */*.clashes; do test -e \"$f\" || continue; while read -r d; do\n"
    "  test ! -e \"$d\" || { echo \"$f clashes with $d\"; exit 1; }; done < \"$f\"; done\n"
    "! grep -rl '^<<<<<<< ' . --include='*.txt'\n";

unsigned
suite_pick(unsigned *state, unsigned below)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % below;
}

static struct suite_task *
add_task(struct suite_area *a, const char *id, int good, int rework)
{
	struct suite_task *t = &a->tasks[a->count++];

	assert_true(a->count <= TASKS_MAX);
	snprintf(t->id, sizeof(t->id), "%s", id);
	snprintf(t->owns, sizeof(t->owns), "\"%s/%s*\"", a->id, id);
	t->good = good;
	t->rework = rework;
	return t;
}

/* text NULL: it must not be there. */
static void
expect_file(struct suite_area *a, const char *name, const char *text)
{
	struct suite_file *f = &a->files[a->file_count++];

	assert_true(a->file_count <= FILES_MAX);
	snprintf(f->path, sizeof(f->path), "%s/%s", a->id, name);
	f->text = text;
}

/* The script of a task's agent, in its n-th start; 0: always. %s stands for the area's id wherever it is. */
static void
script(struct e2e *e, const struct suite_area *a, const char *id, unsigned n, const char *text)
{
	char *name =
	    n == 0 ? xasprintf("worker-%s.%s", a->id, id) : xasprintf("worker-%s.%s.%u", a->id, id, n);
	char *out = xstrdup("");

	for (const char *p = text; *p != '\0';) {
		const char *mark = strstr(p, "%s");
		size_t k = mark == NULL ? strlen(p) : (size_t)(mark - p);
		char *longer = xasprintf("%s%.*s%s", out, (int)k, p, mark == NULL ? "" : a->id);

		free(out);
		out = longer;
		p += k + (mark == NULL ? 0 : 2);
	}
	e2e_script(e, name, "%s", out);
	free(out);
	free(name);
}

static void
base_file(struct e2e *e, const struct suite_area *a, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", a->id, name);

	testrepo_file(e->repo, path, text);
	free(path);
}

#define WRITES(name, text) "write %s/" name " <<EOF\n" text "\nEOF\n"

static void
clean(struct e2e *e, struct suite_area *a, unsigned *state)
{
	static const char *const ids[] = {"t1", "t2", "t3", "t4"};
	static const char *const files[] = {"t1.txt", "t2.txt", "t3.txt", "t4.txt"};
	static const char *const scripts[] = {WRITES("t1.txt", "one"), WRITES("t2.txt", "two"),
	    WRITES("t3.txt", "three") "commit by myself\n", WRITES("t4.txt", "four") "say done\n"};
	static const char *const texts[] = {"one", "two", "three", "four"};
	size_t n = 1 + suite_pick(state, 4);

	for (size_t i = 0; i < n; i++) {
		add_task(a, ids[i], 1, 0);
		script(e, a, ids[i], 0, scripts[i]);
		expect_file(a, files[i], texts[i]);
	}
}

/* Each builds on what the one before has left. */
static void
chain(struct e2e *e, struct suite_area *a, unsigned *state)
{
	(void)state;
	add_task(a, "t1", 1, 0);
	strcpy(add_task(a, "t2", 1, 0)->needs, "\"t1\"");
	strcpy(add_task(a, "t3", 1, 0)->needs, "\"t2\"");
	script(e, a, "t1", 0, WRITES("t1.txt", "one"));
	script(e, a, "t2", 0, "run cp %s/t1.txt %s/t2.txt; echo two >> %s/t2.txt\n");
	script(e, a, "t3", 0, "run cp %s/t2.txt %s/t3.txt; echo three >> %s/t3.txt\n");
	expect_file(a, "t3.txt", "one\ntwo\nthree");
}

/* What fails takes along what cannot do without it, and nothing else. */
static void
broken_chain(struct e2e *e, struct suite_area *a, unsigned *state)
{
	(void)state;
	add_task(a, "t1", 0, 0);
	strcpy(add_task(a, "t2", 0, 0)->needs, "\"t1\"");
	strcpy(add_task(a, "t3", 1, 0)->needs, "{\"id\":\"t1\",\"soft\":true}");
	script(e, a, "t1", 0, "error This cannot be done\n");
	script(e, a, "t2", 0, WRITES("t2.txt", "two"));
	script(e, a, "t3", 0, WRITES("t3.txt", "three"));
	expect_file(a, "t2.txt", NULL);
	expect_file(a, "t3.txt", "three");
}

/* Both begin before either is merged. */
#define MEET(me, other) "touch @/%s-" me "\nwait_file @/%s-" other "\n"

static void
two_that_meet(struct suite_area *a, struct e2e *e, const char *one, const char *two, const char *again)
{
	char *text;

	snprintf(a->shared, sizeof(a->shared), "\"%s/index.txt\"", a->id);
	base_file(e, a, "index.txt", "top\nmiddle\nbottom\n");
	text = xasprintf(MEET("t1", "t2") "%s", "%s", "%s", one);
	script(e, a, "t1", 1, text);
	free(text);
	text = xasprintf(MEET("t2", "t1") "%s", "%s", "%s", two);
	script(e, a, "t2", 1, text);
	free(text);
	script(e, a, "t1", 0, again);
	script(e, a, "t2", 0, again);
}

/* The one that comes second resolves it. */
static void
conflict(struct e2e *e, struct suite_area *a, unsigned *state)
{
	(void)state;
	add_task(a, "t1", 1, -1);
	add_task(a, "t2", 1, -1);
	a->together = 1;
	two_that_meet(a, e, WRITES("index.txt", "top\none\nbottom"), WRITES("index.txt", "top\ntwo\nbottom"),
	    "expect_prompt index.txt\n" WRITES("index.txt", "top\none\ntwo\nbottom"));
	expect_file(a, "index.txt", "top\none\ntwo\nbottom");
}

/* Nobody ever does: who came second fails, and nothing of it stays. */
static void
open_conflict(struct e2e *e, struct suite_area *a, unsigned *state)
{
	(void)state;
	add_task(a, "t1", -1, -1);
	add_task(a, "t2", -1, -1);
	a->good_together = 1;
	a->together = 2;
	two_that_meet(a, e, WRITES("index.txt", "top\none\nbottom"), WRITES("index.txt", "top\ntwo\nbottom"),
	    "say I would rather not\n");
}

/* Lines that both add to a shared file are no conflict: nobody has to be asked. */
static void
additions(struct e2e *e, struct suite_area *a, unsigned *state)
{
	(void)state;
	add_task(a, "t1", 1, 0);
	add_task(a, "t2", 1, 0);
	two_that_meet(a, e, "append %s/index.txt <<EOF\none\nEOF\n" WRITES("t1.txt", "one"),
	    "append %s/index.txt <<EOF\ntwo\nEOF\n" WRITES("t2.txt", "two"), "error Not again\n");
	expect_file(a, "t1.txt", "one");
	expect_file(a, "t2.txt", "two");
}

static void
fix_alone(struct e2e *e, struct suite_area *a)
{
	add_task(a, "t3", 1, 0);
	script(e, a, "t3", 0, WRITES("t3.txt", "three"));
	expect_file(a, "t3.txt", "three");
}

/* Renamed here, used there: each is right by itself. */
static void
semantic(struct e2e *e, struct suite_area *a, unsigned *state)
{
	char *text;

	(void)state;
	base_file(e, a, "t1.def", "old\n");
	add_task(a, "t1", 1, -1);
	add_task(a, "t2", 1, -1);
	a->together = 1;
	text = xasprintf(MEET("t1", "t2") "run git mv %s/t1.def %s/t1.new\n", "%s", "%s", "%s", "%s");
	script(e, a, "t1", 1, text);
	free(text);
	text = xasprintf(MEET("t2", "t1") "%s", "%s", "%s", "write %s/t2.needs <<EOF\n%s/t1.def\nEOF\n");
	script(e, a, "t2", 1, text);
	free(text);
	script(e, a, "t1", 0, "expect_prompt needs\n" WRITES("t1.def", "old"));
	script(e, a, "t2", 0, "expect_prompt needs\nwrite %s/t2.needs <<EOF\n%s/t1.new\nEOF\n");
	expect_file(a, "t1.new", "old");
	fix_alone(e, a);
}

static void
breach(struct e2e *e, struct suite_area *a, unsigned *state)
{
	bool stays = suite_pick(state, 2) == 0;

	add_task(a, "t1", !stays, stays ? 2 : 1);
	script(e, a, "t1", 0, WRITES("t1.txt", "one") "write README <<EOF\nmine\nEOF\n");
	if (!stays)
		script(e, a, "t1", 2, "expect_prompt README\nrun git checkout -q main -- README\n");
	expect_file(a, "t1.txt", stays ? NULL : "one");
	fix_alone(e, a);
}

/* The gate's own file, under a wildcard that covers it. */
static void
weakened_gate(struct e2e *e, struct suite_area *a, unsigned *state)
{
	(void)state;
	strcpy(add_task(a, "t1", 0, 2)->owns, "\"check*\"");
	snprintf(a->owns, sizeof(a->owns), "\"%s/\",\"check*\"", a->id);
	script(e, a, "t1", 0, "write check.sh <<EOF\ntrue\nEOF\n");
	fix_alone(e, a);
}

static void
empty(struct e2e *e, struct suite_area *a, unsigned *state)
{
	bool stays = suite_pick(state, 2) == 0;

	add_task(a, "t1", !stays, stays ? 2 : 1);
	script(e, a, "t1", 0, "say It is all done, trust me\n");
	if (!stays)
		script(
		    e, a, "t1", 2, "expect_prompt Nothing in the worktree differs\n" WRITES("t1.txt", "one"));
	expect_file(a, "t1.txt", stays ? NULL : "one");
	fix_alone(e, a);
}

/* Red by itself: its own gate says so, to it alone. */
static void
red_alone(struct e2e *e, struct suite_area *a, unsigned *state)
{
	bool stays = suite_pick(state, 2) == 0;

	add_task(a, "t1", !stays, stays ? 2 : 1);
	snprintf(a->tasks[0].owns, sizeof(a->tasks[0].owns), "\"%s/t1*\",\"%s/bad1\"", a->id, a->id);
	script(e, a, "t1", 0, "write %s/bad1 <<EOF\nx\nEOF\n" WRITES("t1.txt", "one"));
	if (!stays)
		script(e, a, "t1", 2, "expect_prompt is bad\ndelete %s/bad1\n");
	expect_file(a, "t1.txt", stays ? NULL : "one");
	expect_file(a, "bad1", NULL);
	fix_alone(e, a);
}

/* The text is given away. */
static void
script_taken(struct e2e *e, const struct suite_area *a, const char *id, unsigned n, char *text)
{
	script(e, a, id, n, text);
	free(text);
}

/* Handed in together, one of them red with what was merged while all were at work. */
static void
culprit(struct e2e *e, struct suite_area *a, unsigned *state)
{
	unsigned n = 4 + suite_pick(state, 4), bad = 2 + suite_pick(state, n - 1);
	char *waits = xstrdup(""), *longer, id[12];

	add_task(a, "t1", 1, 0);
	for (unsigned i = 2; i <= n; i++) {
		snprintf(id, sizeof(id), "t%u", i);
		add_task(a, id, 1, i == bad);
		script_taken(e, a, id, 1,
		    xasprintf("touch @/%s-%s\nwait_file @/%s-go\nwrite %s/%s.%s <<EOF\n%s/t1.txt\nEOF\n",
			a->id, id, a->id, a->id, id, i == bad ? "clashes" : "txt", a->id));
		if (i == bad)
			script_taken(e, a, id, 0,
			    xasprintf("expect_prompt clashes with\ndelete %s/%s.clashes\nwrite %s/%s.txt "
				      "<<EOF\nx\nEOF\n",
				a->id, id, a->id, id));
		longer = xasprintf("%swait_file @/%s-%s\n", waits, a->id, id);
		free(waits);
		waits = longer;
	}
	script_taken(e, a, "t1", 0, xasprintf("%s" WRITES("t1.txt", "one"), waits, a->id));
	free(waits);
	snprintf(a->release, sizeof(a->release), "%s-go", a->id);
	expect_file(a, "t1.txt", "one");
}

static const struct {
	const char *name;
	void (*fill)(struct e2e *e, struct suite_area *a, unsigned *state);
} kinds[] = {
    {"clean", clean},
    {"chain", chain},
    {"broken chain", broken_chain},
    {"conflict", conflict},
    {"open conflict", open_conflict},
    {"additions", additions},
    {"semantic conflict", semantic},
    {"breach", breach},
    {"weakened gate", weakened_gate},
    {"empty", empty},
    {"red alone", red_alone},
    {"culprit in a batch", culprit},
};

size_t
suite_kind_count(void)
{
	return sizeof(kinds) / sizeof(kinds[0]);
}

const char *
suite_kind_name(size_t kind)
{
	return kinds[kind].name;
}

void
suite_fill(struct e2e *e, struct suite_area *a, unsigned *state)
{
	snprintf(a->owns, sizeof(a->owns), "\"%s/\"", a->id);
	kinds[a->kind].fill(e, a, state);
}
