/* github_words: see github_words.h. */
#include "director/github_words.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX 300 /* of GitHub's own in a sentence */

/* Does the parameter list from p to end have rel=next? */
static bool
is_next(const char *p, const char *end)
{
	for (; p < end; p++) {
		size_t n;

		if (*p != ';')
			continue;
		p += 1 + strspn(p + 1, " \t");
		if (strncasecmp(p, "rel=", 4) != 0)
			continue;
		p += 4;
		n = *p == '"' ? strcspn(p + 1, "\"") : strcspn(p, ";, \t");
		p += *p == '"';
		return n == 4 && strncasecmp(p, "next", 4) == 0;
	}
	return false;
}

char *
github_link_next(const char *header)
{
	const char *p = header;

	while (p != NULL && (p = strchr(p, '<')) != NULL) {
		const char *close = strchr(p, '>'), *end;

		if (close == NULL)
			return NULL;
		end = strchr(close, '<');
		if (end == NULL)
			end = close + strlen(close);
		if (is_next(close + 1, end))
			return xstrndup(p + 1, (size_t)(close - p) - 1);
		p = end;
	}
	return NULL;
}

static void
append(char *buf, size_t size, const char *word, const char *between)
{
	size_t n = strlen(buf);

	if (word != NULL && *word != '\0' && n < size)
		snprintf(buf + n, size - n, "%s%s", n > 0 ? between : "", word);
}

/* "Validation Failed: Issue.title missing_field; body is too long" */
static char *
words_of(const json_t *body)
{
	char buf[1024] = "", item[512];
	json_t *errors = json_object_get(body, "errors"), *one;
	char *line;
	size_t i;

	append(buf, sizeof(buf), json_str(body, "message"), "");
	if (json_is_string(errors))
		append(buf, sizeof(buf), json_string_value(errors), ": ");
	json_array_foreach (errors, i, one) {
		if (i == 4)
			break;
		item[0] = '\0';
		if (json_is_string(one)) {
			append(item, sizeof(item), json_string_value(one), "");
		} else if (json_str(one, "message") != NULL) {
			append(item, sizeof(item), json_str(one, "message"), "");
		} else {
			append(item, sizeof(item), json_str(one, "field"), "");
			append(item, sizeof(item), json_str(one, "code"), " ");
		}
		append(buf, sizeof(buf), item, i == 0 ? ": " : "; ");
	}
	line = text_utf8(buf, strlen(buf), sizeof(buf));
	snprintf(buf, sizeof(buf), "%s", line);
	free(line);
	return text_line(buf, WORDS_MAX);
}

bool
github_errors_say(const json_t *body, const char *words)
{
	char *all = words_of(body);
	bool found = strcasestr(all, words) != NULL;

	free(all);
	return found;
}

/* "issues=write; pull_requests=write" -> " (the token needs issues=write or pull_requests=write)" */
static char *
needs(const char *accepted)
{
	const char *between = "";
	char *out, *line;

	if (accepted == NULL || *accepted == '\0')
		return xstrdup("");
	line = text_line(accepted, WORDS_MAX);
	out = xstrdup(" (the token needs ");
	for (char *p = line, *end; *p != '\0'; p = end) {
		size_t n;
		char *more;

		p += strspn(p, "; ");
		n = strcspn(p, ";");
		end = p + n;
		if (n == 0)
			continue;
		more = xasprintf("%s%s%.*s", out, between, (int)n, p);
		between = " or ";
		free(out);
		out = more;
	}
	free(line);
	line = xasprintf("%s)", out);
	free(out);
	return line;
}

static int
explain_limit(struct err *e, const char *what, int64_t retry_ms)
{
	char age[32];

	if (retry_ms <= 0)
		return err_set(e, -EAGAIN, "GitHub limits our requests: cannot %s now", what);
	return err_set(e, -EAGAIN, "GitHub limits our requests for another %s: cannot %s before that",
	    clock_age(age, sizeof(age), retry_ms), what);
}

int
github_explain(struct err *e, enum github_kind kind, int status, const char *what, const json_t *body,
    const char *accepted, int64_t retry_ms)
{
	char *said = words_of(body), *need = needs(accepted);
	int rc = -EIO;

	switch (kind) {
	case GITHUB_FINE:
		rc = 0;
		break;
	case GITHUB_UNAUTHORIZED:
		rc = err_set(e, -EACCES,
		    "GitHub does not know the token (401 %s): cannot %s; it may be over: give a new one in "
		    "GITHUB_TOKEN",
		    said, what);
		break;
	case GITHUB_FORBIDDEN:
		rc = err_set(e, -EPERM, "GitHub forbids to %s: %d %s%s", what, status, said, need);
		break;
	case GITHUB_NOT_FOUND:
		rc = err_set(e, -ENOENT,
		    "cannot %s: GitHub says %d %s: it is not there, or the token may not see it%s", what,
		    status, said, need);
		break;
	case GITHUB_NOT_ALLOWED:
		rc = err_set(e, -ENOTSUP, "GitHub does not let us %s: %d %s", what, status, said);
		break;
	case GITHUB_CONFLICT:
		rc = err_set(
		    e, -ESTALE, "cannot %s: something changed in the meantime: %d %s", what, status, said);
		break;
	case GITHUB_INVALID:
		rc = err_set(e, -EINVAL, "GitHub refuses to %s: %d %s", what, status, said);
		break;
	case GITHUB_LIMITED:
		rc = explain_limit(e, what, retry_ms);
		break;
	case GITHUB_BROKEN:
		rc = err_set(
		    e, -EIO, "cannot %s: GitHub answered %d %s, %d times", what, status, said, GITHUB_TRIES);
		break;
	case GITHUB_LOST:
		rc = err_set(e, -EINPROGRESS, "cannot tell whether GitHub did %s: its answer was lost", what);
		break;
	case GITHUB_STOPPED:
		rc = err_set(e, -ECANCELED, "asked to stop before it could %s", what);
		break;
	case GITHUB_STRANGE:
		rc = err_set(e, -EPROTO,
		    "cannot %s: the answer %d is not one of GitHub's API: is GITHUB_API_URL right?", what,
		    status);
		break;
	}
	free(said);
	free(need);
	return rc;
}
