/* calls: see calls.h. Every call has a row: its kind, and for each of its canonical arguments where it is (or
 * -1: it is AT_FDCWD; -2: 0). */
#include "tests/chaos/power/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HERE (-1)
#define ZERO (-2)

struct call {
	long nr;
	enum call_kind kind;
	signed char from[5];
	/* It matters only when this argument has one of these bits. */
	signed char argument;
	uint32_t bits;
};

#define ANY -1, 0

static const struct call calls[] = {
    {SYS_openat, CALL_OPEN, {0, 1, 2, ZERO, ZERO}, 2, O_CREAT | O_TRUNC},
    {SYS_write, CALL_WRITE, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_writev, CALL_WRITE, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_pwrite64, CALL_PWRITE, {0, 1, 2, 3, ZERO}, ANY},
    {SYS_pwritev, CALL_PWRITE, {0, 1, 2, 3, ZERO}, ANY},
    {SYS_pwritev2, CALL_PWRITE, {0, 1, 2, 3, ZERO}, ANY},
    {SYS_sendfile, CALL_WRITE, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_copy_file_range, CALL_COPY, {0, 1, 2, ZERO, ZERO}, ANY},
    {SYS_truncate, CALL_TRUNCATE, {HERE, 0, ZERO, ZERO, ZERO}, ANY},
    {SYS_ftruncate, CALL_FTRUNCATE, {0, 1, ZERO, ZERO, ZERO}, ANY},
    {SYS_fallocate, CALL_FTRUNCATE, {0, 1, 2, 3, ZERO}, ANY},
    {SYS_fsync, CALL_FSYNC, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_fdatasync, CALL_FSYNC, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_sync, CALL_SYNC, {ZERO, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_syncfs, CALL_SYNC, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_renameat, CALL_RENAME, {0, 1, 2, 3, ZERO}, ANY},
    {SYS_renameat2, CALL_RENAME, {0, 1, 2, 3, 4}, ANY},
    {SYS_linkat, CALL_LINK, {0, 1, 2, 3, ZERO}, ANY},
    {SYS_symlinkat, CALL_SYMLINK, {ZERO, ZERO, 1, 2, ZERO}, ANY},
    {SYS_unlinkat, CALL_UNLINK, {0, 1, 2, ZERO, ZERO}, ANY},
    {SYS_mkdirat, CALL_MKDIR, {0, 1, ZERO, ZERO, ZERO}, ANY},
    {SYS_fchmodat, CALL_CHMOD, {0, 1, ZERO, ZERO, ZERO}, ANY},
    {SYS_fchmod, CALL_FCHMOD, {0, ZERO, ZERO, ZERO, ZERO}, ANY},
    {SYS_ioctl, CALL_CLONE, {0, 1, ZERO, ZERO, ZERO}, 1, FICLONE},
    {SYS_mmap, CALL_MMAP, {ZERO, ZERO, ZERO, ZERO, 4}, 3, MAP_SHARED},
#ifdef SYS_open
    {SYS_open, CALL_OPEN, {HERE, 0, 1, ZERO, ZERO}, 1, O_CREAT | O_TRUNC},
    {SYS_creat, CALL_OPEN, {HERE, 0, ZERO, ZERO, ZERO}, ANY},
    {SYS_rename, CALL_RENAME, {HERE, 0, HERE, 1, ZERO}, ANY},
    {SYS_link, CALL_LINK, {HERE, 0, HERE, 1, ZERO}, ANY},
    {SYS_symlink, CALL_SYMLINK, {ZERO, ZERO, HERE, 1, ZERO}, ANY},
    {SYS_unlink, CALL_UNLINK, {HERE, 0, ZERO, ZERO, ZERO}, ANY},
    {SYS_rmdir, CALL_UNLINK, {HERE, 0, ZERO, ZERO, ZERO}, ANY},
    {SYS_mkdir, CALL_MKDIR, {HERE, 0, ZERO, ZERO, ZERO}, ANY},
    {SYS_chmod, CALL_CHMOD, {HERE, 0, ZERO, ZERO, ZERO}, ANY},
#endif
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

bool
call_of(uint64_t nr, const uint64_t given[6], enum call_kind *kind, uint64_t args[6])
{
	const struct call *c = calls;

	while (c < calls + CALLS && (uint64_t)c->nr != nr)
		c++;
	if (c == calls + CALLS)
		return false;
	for (int i = 0; i < 5; i++)
		args[i] = c->from[i] == HERE   ? (uint64_t)(int64_t)AT_FDCWD
			  : c->from[i] == ZERO ? 0
					       : given[c->from[i]];
	*kind = c->kind;
#ifdef SYS_open
	if (nr == SYS_creat)
		args[2] = O_CREAT | O_TRUNC;
	if (nr == SYS_rmdir)
		args[2] = AT_REMOVEDIR;
#endif
	if (nr == SYS_ioctl)
		return given[1] == FICLONE;
	return nr != SYS_mmap || ((given[2] & PROT_WRITE) != 0 && (given[3] & MAP_ANONYMOUS) == 0);
}

bool
call_filter_install(void)
{
	struct sock_filter code[4 + CALLS * 5];
	struct sock_fprog program = {.filter = code};
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (const struct call *c = calls; c < calls + CALLS; c++) {
		bool all = c->argument < 0;
		unsigned at = all ? 0
				  : (unsigned)(offsetof(struct seccomp_data, args) +
					       (size_t)c->argument * sizeof(uint64_t));

		code[n++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, (unsigned)c->nr, 0, (unsigned char)(all ? 1 : 4));
		if (!all) {
			code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
			code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, c->bits, 1, 0);
			code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		}
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	/* Without new privileges anybody may; with CAP_SYS_ADMIN they may stay as they are. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return true;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
