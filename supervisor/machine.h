/*
 * machine: what this machine has left for one more agent: memory and disk, asked of the kernel. Where a
 * cgroup around us has less left than the machine, that counts.
 */
#ifndef ORCH_SUPERVISOR_MACHINE_H
#define ORCH_SUPERVISOR_MACHINE_H

#include <stdint.h>

/* MB; UINT64_MAX when it cannot be told. */
uint64_t machine_free_memory_mb(void);
uint64_t machine_free_disk_mb(const char *path);

#endif
