/* logfile: the files that processes of ours write their stderr to. No reader of ours can ever hold them up.
 */
#ifndef ORCH_SUPERVISOR_LOGFILE_H
#define ORCH_SUPERVISOR_LOGFILE_H

#include "common/err.h"
#include "common/repo.h"

#include <sys/types.h>

#define LOGFILE_ROTATE_BYTES (8 << 20)

/*
 * Opens logs/<name> of the state folder for appending; one that has become long is put aside as <name>.1
 * first. *end (may be NULL): where what is written now begins. An fd, or -errno with e.
 */
int logfile_open(const struct repo *repo, const char *name, off_t *end, struct err *e);

/* What a file holds behind from, its last part as one line; NULL when that is nothing. Caller frees. */
char *logfile_last_words(const char *path, off_t from);

#endif
