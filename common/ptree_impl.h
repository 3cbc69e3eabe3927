/* ptree_impl: what the files of ptree share; for nobody else. */
#ifndef ORCH_COMMON_PTREE_IMPL_H
#define ORCH_COMMON_PTREE_IMPL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes text to, or reads, a file of a cgroup. Reading cuts off at size. */
int ptree_write(const char *dir, const char *name, const char *text);
bool ptree_read(const char *dir, const char *name, char *buf, size_t size);

#endif
