/* issue: see issue.h. */
#include "supervisor/ctl/issue.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/text.h"
#include "proto/messages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLANKS " \t\r\n\v\f"

static const char *
from_env(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

char *
issue_title(const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n"), skip = strspn(text, "# \t\r\v\f"), used = 0, chars = 0;
		const char *s = text + skip;
		char *line, *title;

		if (skip >= n) {
			text += text[n] == '\n' ? n + 1 : n;
			continue;
		}
		line = xstrndup(s, n - skip);
		title = text_line(line, TEXT_MAX);
		free(line);
		for (; title[used] != '\0' && chars < ISSUE_TITLE_CHARS; chars++)
			for (used++; ((unsigned char)title[used] & 0xc0) == 0x80;)
				used++;
		title[used] = '\0';
		while (used > 0 && title[used - 1] == ' ')
			title[--used] = '\0';
		if (used > 0)
			return title;
		free(title);
		text += text[n] == '\n' ? n + 1 : n;
	}
	return xstrdup("untitled");
}

/* Digits, with the # people write before them. */
static int
take_number(struct issue *i, const char *word, struct err *e)
{
	const char *digits = word[0] == '#' ? word + 1 : word;
	size_t n = strspn(digits, "0123456789");

	if (n == 0 || n > 9 || digits[n] != '\0' || digits[0] == '0')
		return err_set(e, -EINVAL,
		    "\"%.60s\" is not an issue number; a task as text is given with -m TEXT", word);
	i->number = xstrdup(digits);
	return 0;
}

static int
read_task_file(const char *path, char **text, size_t *size, struct err *e)
{
	bool from_stdin = strcmp(path, "-") == 0;
	int rc = from_stdin ? fd_read_all(STDIN_FILENO, GOAL_MAX, text, size)
			    : fd_read_file(path, GOAL_MAX, text, size);

	if (rc == -EFBIG)
		return err_set(e, rc,
		    "the task in %s is over 256 KiB: shorten it, or point to a file in the repository",
		    from_stdin ? "standard input" : path);
	if (rc < 0)
		return err_sys(e, rc, "cannot read the task from %s", from_stdin ? "standard input" : path);
	return 0;
}

static int
check_text(const char *what, const char *text, size_t size, struct err *e)
{
	if (size > GOAL_MAX)
		return err_set(
		    e, -EFBIG, "%s is over 256 KiB: shorten it, or point to a file in the repository", what);
	if (!text_is_utf8(text, size))
		return err_set(e, -EINVAL, "%s is not UTF-8 text: convert it (iconv -t UTF-8)", what);
	if (strspn(text, BLANKS) == size)
		return err_set(e, -EINVAL, "%s is empty: say what is to be done", what);
	return 0;
}

static int
take_given(struct issue *i, const struct args *a, struct err *e)
{
	const char *what = a->message != NULL ? "the task given with -m" : "the task";
	char *text = NULL;
	size_t size;
	int rc = 0;

	if (a->message != NULL) {
		text = xstrdup(a->message);
		size = strlen(text);
	} else {
		rc = read_task_file(a->task_file, &text, &size, e);
	}
	if (rc == 0)
		rc = check_text(what, text, size, e);
	if (rc < 0) {
		free(text);
		return rc;
	}
	i->text = text;
	i->title = issue_title(text);
	return 0;
}

/*
 * The environment speaks of one issue: not of another one that was asked for. What it does not say, or says
 * to be empty, is GitHub's to tell.
 */
static int
take_environment(struct issue *i, struct err *e)
{
	const char *title = from_env("ISSUE_TITLE"), *body = from_env("ISSUE_BODY");
	const char *number = from_env("ISSUE_NUMBER");
	int rc = 0;

	if ((title == NULL && body == NULL) || (number != NULL && strcmp(number, i->number) != 0) ||
	    (body == NULL && getenv("ISSUE_BODY") != NULL))
		return 0;
	if (title != NULL)
		rc = check_text("ISSUE_TITLE", title, strlen(title), e);
	if (rc == 0 && body != NULL)
		rc = check_text("ISSUE_BODY", body, strlen(body), e);
	if (rc < 0)
		return rc;
	i->title = issue_title(title != NULL ? title : body);
	i->text = xstrdup(body != NULL ? body : title);
	return 0;
}

int
issue_read(struct issue *i, const struct args *a, struct err *e)
{
	bool given = a->message != NULL || a->task_file != NULL;
	const char *number = a->word_count > 0 ? a->words[0] : given ? NULL : from_env("ISSUE_NUMBER");
	int rc = 0;

	memset(i, 0, sizeof(*i));
	if (a->message != NULL && a->task_file != NULL)
		return err_set(e, -EINVAL, "-m and --task both give the text: choose one");
	if (number == NULL && !given)
		return err_set(e, -EINVAL,
		    "nothing to do: give an issue number, -m TEXT or --task FILE (see orchctl run --help)");
	if (number != NULL)
		rc = take_number(i, number, e);
	if (rc == 0)
		rc = given ? take_given(i, a, e) : take_environment(i, e);
	if (rc < 0)
		issue_clear(i);
	return rc;
}

void
issue_clear(struct issue *i)
{
	free(i->number);
	free(i->title);
	free(i->text);
	memset(i, 0, sizeof(*i));
}
