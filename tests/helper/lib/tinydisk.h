/*
 * tinydisk: a small disk of the test's own, that can be filled and emptied. It is mounted in a mount
 * namespace of this process and what it starts: nobody else sees it, and it goes with them.
 */
#ifndef ORCH_TESTS_TINYDISK_H
#define ORCH_TESTS_TINYDISK_H

#include <stdbool.h>

/* Once, before there are threads. False where this may not be done (it takes CAP_SYS_ADMIN). */
bool tinydisk_possible(void);
/* Over the folder at path, with what is in it. False, and nothing done, when it cannot be. */
bool tinydisk_mount(const char *path, unsigned kib);
/* With the folder below it, when that is empty. */
void tinydisk_unmount(const char *path);
/* To the last byte; again when something has been freed since. */
void tinydisk_fill(const char *path);
void tinydisk_empty(const char *path);

#endif
