/* logfile: the files that processes of ours write their stderr to. No reader of ours can ever hold them up.
 */
#ifndef ORCH_SUPERVISOR_LOGFILE_H
#define ORCH_SUPERVISOR_LOGFILE_H

#include "common/err.h"
#include "common/repo.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * Opens logs/<name> of the state folder for appending; one that has become long is put aside as <name>.1
 * first: longer than max_bytes. *end (may be NULL): where what is written now begins. An fd, or -errno with
 * e.
 */
int logfile_open(const struct repo *repo, const char *name, uint64_t max_bytes, off_t *end, struct err *e);
/* The same for a file whose folder is there. */
int logfile_open_path(const char *path, uint64_t max_bytes, off_t *end, struct err *e);
/*
 * Our own, on the descriptors 1 and 2, is put aside and begun anew when it has become long and path is what
 * we write to (2 may be a terminal, or somebody may have moved the file). A log that cannot be goes on
 * growing: that must stop nobody.
 */
void logfile_keep(const char *path, uint64_t max_bytes);

/* What a file holds behind from, its last part as one line; NULL when that is nothing. Caller frees. */
char *logfile_last_words(const char *path, off_t from);

#endif
