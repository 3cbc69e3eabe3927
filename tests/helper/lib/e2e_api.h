/* e2e_api: a fake Messages API (tests/helper/fakeapi.c) beside an e2e test, for agents that really ask. */
#ifndef ORCH_TESTS_E2E_API_H
#define ORCH_TESTS_E2E_API_H

#include "tests/helper/lib/e2e.h"

struct e2e_api {
	pid_t pid;
	int in; /* it ends with this */
	char *dir, *url;
};

/* dir: for its scripts and its log; below e's own folder, which the teardown of e removes. */
void e2e_api_start(struct e2e_api *api, struct e2e *e);
void e2e_api_stop(struct e2e_api *api);
/* A script: "reply forever\ntext ok\n". A request belongs to it by the path of its endpoint, url/w/NAME. */
void e2e_api_script(struct e2e_api *api, const char *name, const char *text);
/* The log's lines that belong to a script (NULL: all): a JSON array. */
json_t *e2e_api_requests(struct e2e_api *api, const char *script);

#endif
