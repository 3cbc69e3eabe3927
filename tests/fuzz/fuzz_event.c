/* event: any bytes as the payload of any event; a fault or a reason is a line of UTF-8, and what is accepted
 * has what its kind promises. */
#include "supervisor/ctl/event.h"

#include "common/text.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_line(const char *s)
{
	assert(s[0] != '\0' && strchr(s, '\n') == NULL && text_is_utf8(s, strlen(s)));
}

static void
check(const char *name, const uint8_t *data, size_t size)
{
	struct event ev;
	struct err e = {""};

	if (event_read(&ev, name, EVENT_TRIGGER, (const char *)data, size, &e) < 0) {
		check_line(e.msg);
		return;
	}
	check_line(ev.why);
	assert(ev.act == EVENT_NOTHING || ev.issue > 0);
	assert((ev.act != EVENT_ADDRESS && ev.act != EVENT_LANDED) || ev.branch != NULL);
	assert(ev.act != EVENT_COMMAND || ev.text != NULL);
	assert(ev.act != EVENT_COMMAND || ev.command != EVENT_CMD_ANSWER || ev.text[0] != '\0');
	event_clear(&ev);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
	    "issues", "issue_comment", "pull_request_review", "pull_request", "workflow_dispatch", "push"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check(names[i], data, size);
	return 0;
}
