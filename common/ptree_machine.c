/*
 * ptree_machine: what the machine offers to keep trees by, found by trying, and which rung to stand on. Where
 * our cgroup is comes from /proc/self/cgroup and mountinfo, cgroups(7); what is ours to divide is what the
 * document "cgroup v2" calls delegated.
 */
#include "common/ptree.h"
#include "common/ptree_impl.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/sibling.h"
#include "common/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SMALL_FILE 65536
#define BASE_PREFIX "orch."
#define OWN_LEAF "/orch.main" /* where orchd itself goes: a cgroup with controllers holds no processes */

static const struct {
	const char *name, *words;
} rungs[] = {
#define R(NAME, name, words) {name, words},
    PTREE_RUNGS(R)
#undef R
};

const char *
ptree_rung_name(enum ptree_rung r)
{
	return rungs[r].name;
}

const char *
ptree_rung_words(enum ptree_rung r)
{
	return rungs[r].words;
}

bool
ptree_name_valid(const char *name)
{
	for (int i = 0; i < PTREE_RUNG_COUNT; i++)
		if (strcmp(name, rungs[i].name) == 0)
			return true;
	return strcmp(name, "auto") == 0;
}

static enum ptree_rung
best_but(const struct ptree_machine *m, bool cgroup, bool user)
{
	if (cgroup && m->cgroup)
		return PTREE_CGROUP;
	if (m->pidns == PTREE_PIDNS_PLAIN || (user && m->pidns == PTREE_PIDNS_USER))
		return PTREE_PIDNS;
	return PTREE_WALK;
}

enum ptree_rung
ptree_choose(const struct ptree_machine *m, const char *name, char *why)
{
	enum ptree_rung r = PTREE_WALK;

	why[0] = '\0';
	if (name == NULL || strcmp(name, "auto") == 0)
		return best_but(m, true, false);
	if (strcmp(name, "cgroup") == 0) {
		r = best_but(m, true, false);
		if (r != PTREE_CGROUP)
			snprintf(why, PTREE_WHY_MAX, "%s", m->cgroup_why);
	} else if (strcmp(name, "pidns") == 0) {
		r = best_but(m, false, true);
		if (r != PTREE_PIDNS)
			snprintf(why, PTREE_WHY_MAX, "%s", m->pidns_why);
	}
	return r;
}

int
ptree_write(const char *dir, const char *name, const char *text)
{
	char path[PTREE_PATH_MAX + 64];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	fd_close(&fd);
	return rc;
}

bool
ptree_read(const char *dir, const char *name, char *buf, size_t size)
{
	char path[PTREE_PATH_MAX + 64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : fd_read(fd, buf, size - 1);
	fd_close(&fd);
	buf[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

/* "memory" in "cpu memory pids": whole words. */
static bool
has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)) != NULL; p += n)
		if ((p == text || p[-1] == ' ') && strchr(" \n", p[n]) != NULL)
			return true;
	return false;
}

/* Where cgroup v2 is mounted, and which part of it; false: nowhere. mountinfo's line: 36 35 98:0 /root /mount
 * options [tags] - type source options, proc(5). */
static bool
find_mount(char *root, char *mount, size_t size)
{
	char *text = NULL, *save, *line;
	bool seen = false;

	if (fd_read_file("/proc/self/mountinfo", 4 << 20, &text, NULL) < 0)
		return false;
	for (line = strtok_r(text, "\n", &save); line != NULL && !seen; line = strtok_r(NULL, "\n", &save)) {
		const char *type = strstr(line, " - ");
		char r[PTREE_PATH_MAX], m[PTREE_PATH_MAX];

		if (type == NULL || strncmp(type + 3, "cgroup2 ", 8) != 0 ||
		    sscanf(line, "%*s %*s %*s %1023s %1023s", r, m) != 2)
			continue;
		snprintf(root, size, "%s", strcmp(r, "/") == 0 ? "" : r);
		snprintf(mount, size, "%s", m);
		seen = true;
	}
	free(text);
	return seen;
}

/* The folder of the cgroup that this process is in. */
static bool
find_own(char *dir, size_t size, char *why)
{
	char root[PTREE_PATH_MAX], mount[PTREE_PATH_MAX], *text = NULL, *line, *end;
	size_t n;
	bool fits = false;

	if (!find_mount(root, mount, sizeof(root))) {
		snprintf(why, PTREE_WHY_MAX, "cgroup v2 is not mounted here");
		return false;
	}
	if (fd_read_file("/proc/self/cgroup", SMALL_FILE, &text, NULL) < 0)
		text = xstrdup("");
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (line != NULL) {
		line = strchr(line, '/');
		end = line == NULL ? NULL : strchr(line, '\n');
		if (end != NULL)
			*end = '\0';
		n = strlen(root);
		fits = line != NULL && strncmp(line, root, n) == 0 && strstr(line, "/..") == NULL;
	}
	if (fits) {
		snprintf(dir, size, "%s%s", mount, strcmp(line + n, "/") == 0 ? "" : line + n);
		n = strlen(dir);
		if (n > strlen(OWN_LEAF) && strcmp(dir + n - strlen(OWN_LEAF), OWN_LEAF) == 0)
			dir[n - strlen(OWN_LEAF)] = '\0'; /* an orchd before us moved, and we are its child */
	} else {
		snprintf(why, PTREE_WHY_MAX, "our cgroup is not below what is mounted here");
	}
	free(text);
	return fits;
}

/*
 * A user may divide what it may write to. Root may write everywhere: there a service manager's own mark
 * decides, and without a service manager nobody else divides anything.
 */
static bool
is_delegated(const char *dir, char *why)
{
	char procs[PTREE_PATH_MAX + 64], mark[8] = "";

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	if (access(dir, W_OK) < 0 || access(procs, W_OK) < 0) {
		snprintf(
		    why, PTREE_WHY_MAX, "cgroup v2, but not delegated to this user (%s)", strerror(errno));
		return false;
	}
	if (geteuid() != 0 || access("/run/systemd/system", F_OK) < 0)
		return true;
	if (getxattr(dir, "trusted.delegate", mark, sizeof(mark)) == 1 ||
	    getxattr(dir, "user.delegate", mark, sizeof(mark)) == 1)
		return mark[0] == '1';
	snprintf(why, PTREE_WHY_MAX, "cgroup v2, but systemd has not delegated ours (Delegate=yes)");
	return false;
}

/* Lets dir's children have a controller; we move out of the way where that is what it takes. */
static bool
enable(const char *dir, const char *controller, bool move)
{
	char line[32], leaf[PTREE_PATH_MAX + 64];
	int rc;

	snprintf(line, sizeof(line), "+%s", controller);
	rc = ptree_write(dir, "cgroup.subtree_control", line);
	if (rc != -EBUSY || !move)
		return rc == 0;
	snprintf(leaf, sizeof(leaf), "%s%s", dir, OWN_LEAF);
	if ((mkdir(leaf, 0755) < 0 && errno != EEXIST) || ptree_write(leaf, "cgroup.procs", "0") < 0)
		return false;
	if (ptree_write(dir, "cgroup.subtree_control", line) == 0)
		return true;
	(void)ptree_write(dir, "cgroup.procs", "0"); /* others are in it: what is there is not ours alone */
	rmdir(leaf);
	return false;
}

static bool
offer(const char *own, const char *base, const char *controller, bool keep)
{
	char list[512];

	if (!ptree_read(own, "cgroup.controllers", list, sizeof(list)) || !has_word(list, controller))
		return false;
	return !keep || (enable(own, controller, true) && enable(base, controller, false));
}

/* What an earlier orchd of ours left there; what still holds a process stays. */
static void
remove_empty(const char *base)
{
	DIR *d = opendir(base);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
	if (d != NULL)
		closedir(d);
}

/*
 * Folders of orchds that were killed and never came back, their repositories being gone perhaps. One that
 * lives holds a lock on its own; a team that outlives its orchd makes the folder again when it needs it.
 */
static void
remove_forsaken(const char *own)
{
	DIR *d = opendir(own);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		const char *id = entry->d_name + strlen(BASE_PREFIX);
		char path[PTREE_PATH_MAX + 300];
		struct stat st;
		int fd;

		if (strncmp(entry->d_name, BASE_PREFIX, strlen(BASE_PREFIX)) != 0 ||
		    strspn(id, "0123456789abcdef") != strlen(id) || strlen(id) < 8)
			continue;
		fd = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0) {
			snprintf(path, sizeof(path), "%s/%s", own, entry->d_name);
			remove_empty(path);
			rmdir(path); /* refused where a process is left */
		}
		fd_close(&fd);
	}
	if (d != NULL)
		closedir(d);
}

static void
hold(struct ptree_machine *m)
{
	m->held = open(m->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->held >= 0)
		flock(m->held, LOCK_SH | LOCK_NB);
}

static void
probe_cgroup(struct ptree_machine *m, const char *instance, bool keep)
{
	char own[PTREE_PATH_MAX], path[PTREE_PATH_MAX + 64];
	int n;

	if (!find_own(own, sizeof(own), m->cgroup_why) || !is_delegated(own, m->cgroup_why))
		return;
	if (keep)
		n = snprintf(m->base, sizeof(m->base), "%s/" BASE_PREFIX "%s", own, instance);
	else
		n = snprintf(m->base, sizeof(m->base), "%s/orch.look-%d", own, (int)getpid());
	if (n >= (int)sizeof(m->base) - 32 || (mkdir(m->base, 0755) < 0 && errno != EEXIST)) {
		snprintf(m->cgroup_why, PTREE_WHY_MAX, "cgroup v2, but no new one can be made: %s",
		    strerror(errno));
		m->base[0] = '\0';
		return;
	}
	snprintf(path, sizeof(path), "%s/cgroup.kill", m->base);
	m->cgroup = access(path, W_OK) == 0;
	if (!m->cgroup)
		snprintf(m->cgroup_why, PTREE_WHY_MAX, "cgroup v2 without cgroup.kill: Linux 5.14 has it");
	m->memory = m->cgroup && offer(own, m->base, "memory", keep);
	m->pids = m->cgroup && offer(own, m->base, "pids", keep);
	if (keep && m->cgroup) {
		hold(m);
		remove_empty(m->base);
		remove_forsaken(own);
	} else {
		rmdir(m->base);
		m->base[0] = '\0';
	}
}

/* Runs nothing in a namespace. Its stderr says why it did not work. */
static bool
try_init(const char *init, bool user, char *why)
{
	const char *argv[4] = {init};
	struct child_spec s;
	int fds[2], status = 0, n = 1;
	char words[512];
	ssize_t got;
	pid_t pid;

	if (user)
		argv[n++] = "--user";
	argv[n] = "true";
	if (fd_pipe(fds, false) < 0)
		return false;
	child_spec_init(&s);
	s.argv = argv;
	s.fd_err = fds[1];
	if (child_spawn(&s, &pid, NULL, NULL) < 0) {
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		return false;
	}
	fd_close(&fds[1]);
	got = fd_read(fds[0], words, sizeof(words));
	fd_close(&fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (status == 0)
		return true;
	if (got > 0) {
		char *line = text_utf8(words, (size_t)got, PTREE_WHY_MAX - 1);

		line[strcspn(line, "\n")] = '\0';
		snprintf(why, PTREE_WHY_MAX, "%s", line);
		free(line);
	}
	return false;
}

static void
probe_pidns(struct ptree_machine *m)
{
	struct err e = {""};
	char *init = NULL;

	snprintf(m->pidns_why, PTREE_WHY_MAX, "no PID namespace can be made");
	if (sibling_path("orch-init", &init, &e) < 0)
		snprintf(m->pidns_why, PTREE_WHY_MAX, "%s", e.msg);
	else if (geteuid() == 0 && try_init(init, false, m->pidns_why))
		m->pidns = PTREE_PIDNS_PLAIN;
	else if (try_init(init, true, m->pidns_why))
		m->pidns = PTREE_PIDNS_USER;
	if (m->pidns != PTREE_PIDNS_NONE)
		m->pidns_why[0] = '\0';
	free(init);
}

void
ptree_probe(struct ptree_machine *m, const char *instance, bool keep)
{
	memset(m, 0, sizeof(*m));
	probe_cgroup(m, instance, keep);
	probe_pidns(m);
}

void
ptree_probe_end(const struct ptree_machine *m)
{
	if (m->base[0] == '\0')
		return;
	remove_empty(m->base);
	rmdir(m->base);
	if (m->held > 0)
		close(m->held);
}

void
ptree_machine_write(const struct ptree_machine *m, char *buf, size_t size)
{
	static const char *const pidns[] = {"", "pidns=user", "pidns=plain"};

	snprintf(buf, size, "%s%s%s%s%s%s", m->cgroup ? "cgroup=" : "", m->cgroup ? m->base : "",
	    m->memory ? ";memory" : "", m->pids ? ";pids" : "",
	    m->cgroup && m->pidns != PTREE_PIDNS_NONE ? ";" : "", pidns[m->pidns]);
}

void
ptree_machine_read(struct ptree_machine *m, const char *line)
{
	char *copy = xstrdup(line == NULL ? "" : line), *save, *word;

	memset(m, 0, sizeof(*m));
	for (word = strtok_r(copy, ";", &save); word != NULL; word = strtok_r(NULL, ";", &save)) {
		if (strncmp(word, "cgroup=/", 8) == 0 && strlen(word + 7) < sizeof(m->base) - 32) {
			m->cgroup = true;
			snprintf(m->base, sizeof(m->base), "%s", word + 7);
		} else if (strcmp(word, "memory") == 0) {
			m->memory = m->cgroup;
		} else if (strcmp(word, "pids") == 0) {
			m->pids = m->cgroup;
		} else if (strncmp(word, "pidns=", 6) == 0) {
			m->pidns = strcmp(word + 6, "plain") == 0 ? PTREE_PIDNS_PLAIN : PTREE_PIDNS_USER;
		}
	}
	if (!m->cgroup)
		snprintf(m->cgroup_why, PTREE_WHY_MAX, "orchd found no cgroup v2 that is ours to divide");
	if (m->pidns == PTREE_PIDNS_NONE)
		snprintf(m->pidns_why, PTREE_WHY_MAX, "orchd could make no PID namespace");
	free(copy);
}
