/*
 * event: what a GitHub event (GITHUB_EVENT_NAME and the file at GITHUB_EVENT_PATH) asks of us. Pure: the
 * payload is somebody else's text, and this decides only what it means, not whether its sender may ask for
 * it.
 */
#ifndef ORCH_CTL_EVENT_H
#define ORCH_CTL_EVENT_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_PAYLOAD_MAX (4u << 20)
#define EVENT_TRIGGER "orchestrator" /* the label that starts a run, where trigger_label does not say another */

enum event_act {
	EVENT_NOTHING, /* and why says why */
	EVENT_RUN,     /* issue */
	EVENT_CANCEL,  /* the runs of issue, and what they left is cleaned up */
	EVENT_LANDED,  /* pull request issue from branch was merged: clean up */
	EVENT_ADDRESS, /* the review of pull request issue from branch */
	EVENT_COMMAND, /* command and text, written under issue */
};

enum event_command {
	EVENT_CMD_RUN,
	EVENT_CMD_CANCEL,
	EVENT_CMD_RETRY, /* text: a task; empty: what failed */
	EVENT_CMD_RESUME,
	EVENT_CMD_STOP,
	EVENT_CMD_ANSWER, /* text: the answer, never empty */
	EVENT_CMD_STATUS,
	EVENT_CMD_ADDRESS, /* under a pull request */
};

struct event {
	enum event_act act;
	enum event_command command;
	uint64_t issue;     /* or pull request; 0: none */
	bool pull_request;  /* issue is one */
	char *author;       /* login of who wrote what is to be acted upon; NULL: not said */
	bool trusted;       /* GitHub calls author owner, member or collaborator here */
	char *repository;   /* "owner/name"; NULL: not said */
	char *actor;        /* login of who wants it; NULL: nobody in particular */
	char *title, *body; /* of the issue; NULL: not said */
	char *branch;       /* head of the pull request */
	char *text;         /* of a command; never NULL with EVENT_COMMAND */
	char *why;          /* a sentence, never NULL */
};

/*
 * name: GITHUB_EVENT_NAME. trigger: the label that starts a run. 0 with *ev (clear it), also for what means
 * nothing; -EINVAL with a sentence for a payload that is no payload of such an event.
 */
int event_read(
    struct event *ev, const char *name, const char *trigger, const char *json, size_t size, struct err *e);
void event_clear(struct event *ev);

#endif
