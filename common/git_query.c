/* git_query: questions to the repository, and the one way in which refs are moved. */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PACKED_REFS_MAX (16u << 20)

int
git_take_oid(const struct git_out *out, char oid[GIT_OID_HEX], struct err *e)
{
	size_t n = strspn(out->out, "0123456789abcdef");

	if ((n != 40 && n != 64) || (out->out[n] != '\n' && out->out[n] != '\0'))
		return err_set(e, -EIO, "git printed something that is no object id");
	memcpy(oid, out->out, n);
	oid[n] = '\0';
	return 0;
}

static int
resolve(struct git *g, const char *rev, const char *kind, char oid[GIT_OID_HEX], struct err *e)
{
	char *spec = xasprintf("%s^{%s}", rev, kind);
	struct git_out out = {0};
	struct err why = {0};
	int rc = git_run(
	    g, GIT_ANY_EXIT, &out, &why, "rev-parse", "--verify", "--quiet", "--end-of-options", spec, NULL);

	if (rc < 0)
		err_set(e, rc, "%s", why.msg);
	else if (out.code == 1)
		rc = err_set(e, -ENOENT, "there is no %s named %s", kind, rev);
	else if (out.code != 0)
		rc = err_set(e, -EIO, "%s", why.msg);
	else
		rc = git_take_oid(&out, oid, e);
	git_out_clear(&out);
	free(spec);
	return rc;
}

/* Does the file hold the line "<id> <ref>"? What cannot be read may. */
static bool
may_be_packed(const struct git *g, const char *ref)
{
	char *path = xasprintf("%s/packed-refs", g->git_dir), *line = xasprintf(" %s\n", ref), *text = NULL;
	int rc = fd_read_file(path, PACKED_REFS_MAX, &text, NULL);
	bool there = rc == 0 ? strstr(text, line) != NULL : rc != -ENOENT;

	free(text);
	free(line);
	free(path);
	return there;
}

/*
 * True only when this is the full name of a branch or of a ref of ours that certainly does not exist. That is
 * the answer to half of our questions, and a look at two files instead of a process. Whether one that is
 * there is good, git says.
 */
static bool
is_absent(const struct git *g, const char *ref)
{
	char *loose, *other;
	struct stat st;
	bool absent;

	if ((strncmp(ref, "refs/heads/", 11) != 0 && strncmp(ref, "refs/orch/", 10) != 0) ||
	    strpbrk(ref, "^~:@{") != NULL)
		return false;
	loose = xasprintf("%s/%s", g->git_dir, ref);
	other = xasprintf("%s/reftable", g->git_dir);
	/* Loose, packed, loose: as git does, for it may be packed between the first look and the second. */
	absent = lstat(other, &st) < 0 && lstat(loose, &st) < 0 && !may_be_packed(g, ref) &&
		 lstat(loose, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
	free(other);
	free(loose);
	return absent;
}

int
git_resolve(struct git *g, const char *rev, char oid[GIT_OID_HEX], struct err *e)
{
	if (is_absent(g, rev))
		return err_set(e, -ENOENT, "there is no commit named %s", rev);
	return resolve(g, rev, "commit", oid, e);
}

int
git_resolve_if_any(struct git *g, const char *rev, char oid[GIT_OID_HEX], struct err *e)
{
	struct err why = {0};
	int rc = git_resolve(g, rev, oid, &why);

	if (rc == 0)
		return 0;
	oid[0] = '\0';
	return rc == -ENOENT ? 0 : err_set(e, rc, "%s", why.msg);
}

int
git_tree(struct git *g, const char *commit, char oid[GIT_OID_HEX], struct err *e)
{
	return resolve(g, commit, "tree", oid, e);
}

int
git_is_ancestor(struct git *g, const char *ancestor, const char *descendant, struct err *e)
{
	struct git_out out = {0};
	struct err why = {0};
	int rc;

	if (strcmp(ancestor, descendant) == 0)
		return 1;
	rc = git_run(g, GIT_ANY_EXIT, &out, &why, "merge-base", "--is-ancestor", ancestor, descendant, NULL);
	if (rc == 0 && out.code > 1)
		rc = -EIO;
	if (rc < 0)
		err_set(e, rc, "%s", why.msg);
	else
		rc = out.code == 0;
	git_out_clear(&out);
	return rc;
}

/* Did update-ref fail because the ref is not where the caller thought it was? */
static bool
is_stale(const char *words)
{
	return strstr(words, "but expected") != NULL || strstr(words, "reference already exists") != NULL ||
	       strstr(words, "unable to resolve reference") != NULL;
}

int
git_update_ref(
    struct git *g, const char *ref, const char *new_oid, const char *old_oid, const char *why, struct err *e)
{
	/* A branch that is made begins at a commit of others, which is there. */
	bool moves =
	    new_oid != NULL && old_oid != NULL && old_oid[0] != '\0' && strcmp(old_oid, new_oid) != 0;
	int rc = moves ? git_settle(g, new_oid, old_oid, e) : 0;

	return rc < 0 ? rc : git_move_ref(g, ref, new_oid, old_oid, why, e);
}

int
git_move_ref(
    struct git *g, const char *ref, const char *new_oid, const char *old_oid, const char *why, struct err *e)
{
	const char *argv[9];
	struct err words = {0};
	char *note;
	size_t n = 0;
	int rc;

	argv[n++] = "update-ref";
	argv[n++] = "--no-deref";
	argv[n++] = "-m";
	argv[n++] = why != NULL ? why : "orch";
	if (new_oid == NULL)
		argv[n++] = "-d";
	argv[n++] = ref;
	if (new_oid != NULL)
		argv[n++] = new_oid;
	if (old_oid != NULL)
		argv[n++] = old_oid;
	argv[n] = NULL;
	note = new_oid == NULL ? git_delete_begin(g) : NULL;
	rc = git_runv(g, GIT_LANE, NULL, &words, argv, NULL, NULL, 0);
	git_delete_end(g, note, rc);
	if (rc == -EIO && old_oid != NULL && is_stale(words.msg))
		return err_set(e, -ESTALE, "%s has been moved by someone else: %s", ref, words.msg);
	if (rc < 0)
		return err_set(e, rc, "%s", words.msg);
	/* A deletion that is lost is done again. */
	return new_oid == NULL ? 0 : git_settle_ref(g, ref, old_oid == NULL || old_oid[0] == '\0', e);
}

int
git_update_branch(struct git *g, const char *branch, const char *new_oid, const char *old_oid, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", branch);
	int rc = git_update_ref(g, ref, new_oid, old_oid, NULL, e);

	free(ref);
	return rc;
}

int
git_diff_stat(struct git *g, const char *from, const char *to, struct git_stat *st, struct err *e)
{
	struct git_out out = {0};
	struct git_stat sum = {0};
	int rc = git_run(g, 0, &out, e, "diff-tree", "-r", "-z", "--no-renames", "--numstat", "--no-ext-diff",
	    "--no-textconv", "--ignore-submodules=none", from, to, NULL);

	if (rc < 0)
		return rc;
	for (const char *p = out.out; p < out.out + out.size; p += strlen(p) + 1) {
		char *rest = (char *)p;

		sum.files++;
		if (!isdigit((unsigned char)*p))
			continue; /* "-\t-\t": binary */
		sum.insertions += strtoull(p, &rest, 10);
		sum.deletions += strtoull(rest, NULL, 10);
	}
	git_out_clear(&out);
	*st = sum;
	return 0;
}

/* The last value of section.key in `git config -z` output ("section.key\nvalue\0"), or NULL. */
static const char *
config_value(const struct git_out *out, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name);

	for (const char *p = out->out; p < out->out + out->size; p += strlen(p) + 1)
		if (strncmp(p, name, n) == 0 && p[n] == '\n' && p[n + 1] != '\0')
			found = p + n + 1;
	return found;
}

static char *
choose(const char *env, const struct git_out *out, const char *first, const char *second, const char *ours)
{
	const char *s = getenv(env);

	if (s == NULL || *s == '\0')
		s = config_value(out, first);
	if (s == NULL)
		s = config_value(out, second);
	return xstrdup(s != NULL ? s : ours);
}

int
git_identity(struct git *g, char **name, char **mail, struct err *e)
{
	struct git_out out = {0};
	int rc = git_run(
	    g, GIT_ANY_EXIT, &out, e, "config", "-z", "--get-regexp", "^(user|author)\\.(name|email)$", NULL);

	if (rc < 0)
		return rc;
	*name = choose("GIT_AUTHOR_NAME", &out, "author.name", "user.name", "orch");
	*mail = choose("GIT_AUTHOR_EMAIL", &out, "author.email", "user.email", "orch@localhost");
	git_out_clear(&out);
	return 0;
}

int
git_who_load(struct git *g, struct git_who *who, struct err *e)
{
	char *name, *mail;
	int rc = git_identity(g, &name, &mail, e);

	if (rc < 0)
		return rc;
	who->env[0] = xasprintf("GIT_AUTHOR_NAME=%s", name);
	who->env[1] = xasprintf("GIT_AUTHOR_EMAIL=%s", mail);
	who->env[2] = xasprintf("GIT_COMMITTER_NAME=%s", name);
	who->env[3] = xasprintf("GIT_COMMITTER_EMAIL=%s", mail);
	who->env[4] = NULL;
	free(name);
	free(mail);
	return 0;
}

void
git_who_clear(struct git_who *who)
{
	for (size_t i = 0; i < 4; i++)
		free(who->env[i]);
	memset(who, 0, sizeof(*who));
}

int
git_make_commit(struct git *g, const char *tree, const char *const *parents, const char *message,
    char oid[GIT_OID_HEX], struct err *e)
{
	const char *argv[16] = {"commit-tree"};
	struct git_who who = {0};
	struct git_out out = {0};
	char *line = NULL, *text;
	size_t n = 1;
	int rc = git_who_load(g, &who, e);

	if (rc < 0)
		return rc;
	for (; *parents != NULL && n < 10; parents++) {
		argv[n++] = "-p";
		argv[n++] = *parents;
	}
	argv[n++] = "-F";
	argv[n++] = "-";
	argv[n++] = tree;
	argv[n] = NULL;
	if (g->co_author != NULL)
		line = xasprintf("Co-authored-by: %s\n", g->co_author);
	text = line == NULL ? xstrdup(message) : git_with_trailers(message, line);
	rc = git_runv(g, 0, &out, e, argv, (const char *const *)who.env, text, strlen(text));
	if (rc == 0)
		rc = git_take_oid(&out, oid, e);
	free(line);
	free(text);
	git_out_clear(&out);
	git_who_clear(&who);
	return rc;
}

/* The git directory of a checkout: <top>/.git, or what the file of that name says. The caller frees it. */
static char *
checkout_git_dir(const char *top)
{
	char *path = xasprintf("%s/.git", top), *text = NULL, *dir;

	if (git_is_folder(path) || fd_read_file(path, 8192, &text, NULL) < 0 ||
	    strncmp(text, "gitdir: ", 8) != 0) {
		free(text);
		return path;
	}
	text[8 + strcspn(text + 8, "\r\n")] = '\0';
	dir = text[8] == '/' ? xstrdup(text + 8) : xasprintf("%s/%s", top, text + 8);
	free(path);
	free(text);
	return dir;
}

int
git_is_dirty(struct git *g, const char *top, struct err *e)
{
	struct git checkout;
	struct git_out out = {0};
	int rc;

	git_init(&checkout, g->loop, g->git_dir);
	checkout.timeout_ms = g->timeout_ms;
	checkout.work_tree = xstrdup(top);
	checkout.work_git_dir = checkout_git_dir(top);
	rc = git_run(&checkout, 0, &out, e, "status", "--porcelain", "-z", "--untracked-files=normal", NULL);
	if (rc == 0)
		rc = out.size > 0;
	git_out_clear(&out);
	git_clear(&checkout);
	return rc;
}
