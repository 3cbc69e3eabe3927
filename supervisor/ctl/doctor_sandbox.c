/*
 * doctor_sandbox: what this machine offers to keep an agent and its tools apart and to end them surely. orch
 * runs without any of it; a line says what is missed.
 */
#include "supervisor/ctl/doctor.h"

#include "common/fd.h"
#include "common/ptree.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444 /* of every architecture; older headers do not have it */
#endif
#define LANDLOCK_VERSION_FLAG 1u /* LANDLOCK_CREATE_RULESET_VERSION, landlock_create_ruleset(2) */

/* Which rung the agents of a run started from here would stand on, and which ceilings the kernel would hold.
 */
static void
say_trees(struct ctl *c, struct finding *f, const struct ptree_machine *m)
{
	char why[PTREE_WHY_MAX];
	enum ptree_rung r = ptree_choose(m, c->conf.tree, why);

	f->name = "trees";
	if (why[0] != '\0')
		found(f, FINDING_WARNING, "set tree to auto", "tree %s is not to be had (%s): %s instead",
		    c->conf.tree, why, ptree_rung_words(r));
	else if (r == PTREE_CGROUP)
		found(f, FINDING_OK, "", "agents' processes are kept by cgroup v2: cgroup.kill%s%s%s",
		    m->memory ? ", memory.max" : "", m->pids ? ", pids.max" : "",
		    m->memory && m->pids ? "" : "; other ceilings by looking");
	else
		found(f, FINDING_OK, "", "agents' processes are kept by %s; ceilings by looking",
		    ptree_rung_words(r));
}

static void
say_cgroup(struct finding *f, const struct ptree_machine *m)
{
	f->name = "cgroup";
	if (m->cgroup)
		found(f, FINDING_OK, "", "cgroup v2, ours to divide%s%s", m->memory ? ", with memory" : "",
		    m->pids ? ", with pids" : "");
	else
		found(f, FINDING_WARNING, "start orch by systemd-run --user -p Delegate=yes", "%s",
		    m->cgroup_why);
}

static void
say_namespaces(struct finding *f, const struct ptree_machine *m)
{
	f->name = "namespaces";
	if (m->pidns == PTREE_PIDNS_PLAIN)
		found(f, FINDING_OK, "", "PID namespaces can be made");
	else if (m->pidns == PTREE_PIDNS_USER)
		found(f, FINDING_OK, "",
		    "PID namespaces can be made in a user namespace: agents get one with tree = pidns");
	else
		found(f, FINDING_WARNING, "sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces",
		    "%s", m->pidns_why);
}

static void
check_pidfd(struct finding *f)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	f->name = "pidfd";
	if (fd >= 0)
		found(f, FINDING_OK, "", "processes can be named for sure (pidfd)");
	else
		found(f, FINDING_WARNING, "use Linux 5.3 or later, or allow pidfd_open in the container",
		    "no pidfd: what outlives an orchd cannot be taken over by the next: %s", strerror(errno));
	fd_close(&fd);
}

static void
check_landlock(struct finding *f)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	f->name = "landlock";
	if (abi > 0)
		found(f, FINDING_OK, "", "Landlock ABI %ld", abi);
	else
		found(f, FINDING_WARNING, "use Linux 5.13 or later with landlock in the lsm= list",
		    "no Landlock here: %s", strerror(errno));
}

size_t
doctor_sandbox(struct ctl *c, struct finding *f, size_t room)
{
	struct ptree_machine m;

	if (room < 5)
		return 0;
	ptree_probe(&m, c->repo.instance, false);
	say_trees(c, &f[0], &m);
	say_cgroup(&f[1], &m);
	say_namespaces(&f[2], &m);
	check_pidfd(&f[3]);
	check_landlock(&f[4]);
	return 5;
}
