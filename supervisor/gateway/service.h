/* service: the gateway as a unit of orchd: keys, tokens and budgets come by message on fd 3, agents by the
 * listening socket on fd 4, and what happens goes back. */
#ifndef ORCH_GATEWAY_SERVICE_H
#define ORCH_GATEWAY_SERVICE_H

#include <stdbool.h>

/* Was this process started by orchd? */
bool service_is_wanted(void);
/* Until it is told to leave, or has been without orchd for too long. The exit status. */
int service_run(void);

#endif
