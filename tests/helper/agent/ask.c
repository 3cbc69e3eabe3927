/*
 * ask: the scripted agent speaks to the Messages API as it was told in its environment, by a socket of its
 * own, and takes what it hears as the real CLI does: usage is added up, a 429 and a 5xx are asked again after
 * an api_retry event, unless the answer says that it is no use, and everything else ends it.
 */
#include "tests/helper/agent/agent.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RETRIES 3
#define RETRY_MS 500
#define ANSWER_MAX (1u << 20)
#define MODEL "claude-sonnet-5-5"

struct answer {
	int status; /* 0: none came */
	char *text; /* head and body; NULL: none */
	const char *body;
};

/* http://127.0.0.1:PORT/PREFIX */
static int
dial(const char *url, char prefix[256])
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	unsigned port = 0;
	int fd;

	prefix[0] = '\0';
	if (url == NULL || sscanf(url, "http://127.0.0.1:%u%255s", &port, prefix) < 1)
		return -EINVAL;
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		fd_close(&fd);
	return fd;
}

static void
ask_once(struct agent *a, struct answer *got)
{
	const char *token = getenv("ANTHROPIC_AUTH_TOKEN"), *key = getenv("ANTHROPIC_API_KEY");
	char prefix[256], *said = xasprintf("%s %s turn %u", a->role, a->key, a->turn), *body, *head;
	json_t *j = json_pack("{s:s,s:i,s:[{s:s,s:s}]}", "model", MODEL, "max_tokens", 100, "messages",
	    "role", "user", "content", said);
	int fd = dial(getenv("ANTHROPIC_BASE_URL"), prefix);

	memset(got, 0, sizeof(*got));
	body = json_text(j);
	head = xasprintf("POST %s/v1/messages HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n"
			 "X-Claude-Code-Session-Id: %s\r\n%s: %s%s\r\n\r\n%s",
	    prefix, strlen(body), a->session, token != NULL ? "Authorization" : "x-api-key",
	    token != NULL ? "Bearer " : "",
	    token != NULL ? token
	    : key != NULL ? key
			  : "",
	    body);
	if (fd >= 0 && fd_write_all(fd, head, strlen(head)) == 0 &&
	    fd_read_all(fd, ANSWER_MAX, &got->text, NULL) == 0 && strncmp(got->text, "HTTP/1.", 7) == 0) {
		got->status = atoi(got->text + 9);
		got->body = strstr(got->text, "\r\n\r\n");
	}
	fd_close(&fd);
	json_decref(j);
	free(said);
	free(body);
	free(head);
}

/* The value of a header in the answer's head; "" when it is not there. */
static const char *
header_of(const struct answer *got, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = got->text; p != NULL && p < got->body; p = strstr(p, "\r\n"), p = p ? p + 2 : p)
		if (strncasecmp(p, name, n) == 0 && p[n] == ':')
			return p + n + 1 + strspn(p + n + 1, " ");
	return "";
}

static void
count(struct agent *a, const struct answer *got)
{
	const char *from = got->body == NULL ? NULL : strchr(got->body, '{'),
		   *to = from == NULL ? NULL : strrchr(from, '}');
	json_t *j = to == NULL ? NULL : json_loadb(from, (size_t)(to - from) + 1, 0, NULL);
	json_t *usage = json_object_get(j, "usage");

	a->tokens_in += json_integer_value(json_object_get(usage, "input_tokens"));
	a->tokens_out += json_integer_value(json_object_get(usage, "output_tokens"));
	json_decref(j);
}

static bool
is_worth_repeating(const struct answer *got)
{
	if (got->status != 0 && got->status != 429 && got->status != 401 && got->status < 500)
		return false;
	return got->text == NULL || (strncmp(header_of(got, "x-should-retry"), "false", 5) != 0 &&
					atoi(header_of(got, "retry-after")) <= 60);
}

void
ask(struct agent *a)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	struct answer got;

	for (int tries = 0;; tries++) {
		ask_once(a, &got);
		if (got.status == 200) {
			count(a, &got);
			free(got.text);
			return;
		}
		if (tries == RETRIES || !is_worth_repeating(&got))
			break;
		emit(a, json_pack("{s:s,s:s,s:i,s:i,s:i,s:o,s:s}", "type", "system", "subtype", "api_retry",
			    "attempt", tries + 1, "max_retries", RETRIES, "retry_delay_ms", RETRY_MS,
			    "error_status", got.status > 0 ? json_integer(got.status) : json_null(), "error",
			    got.status == 429 ? "rate_limit" : "server_error"));
		free(got.text);
		nanosleep(&pause, NULL);
	}
	emit_result(a, true, got.status, got.body == NULL ? "no answer" : got.body, NULL);
	exit(1);
}
