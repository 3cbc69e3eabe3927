/* push_judge: see push_judge.h. The words are GitHub's (GH001, GH006, GH009, GH013 and the refusals of its
 * pre-receive hook) and git's own in the C locale. */
#include "director/push_judge.h"

#include "common/alloc.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX 300

static const struct {
	enum push_outcome outcome;
	int error;
	const char *words[6];
	const char *advice;
} rules[] = {
    {PUSH_WORKFLOW, -EPERM,
	{"without `workflow` scope", "without `workflows` permission", "workflows` permission"},
	"the work changes files below .github/workflows, and this token may not: use a token with the "
	"workflow scope "
	"(GITHUB_TOKEN of Actions never may)"},
    {PUSH_SECRET, -EPERM,
	{"GH009", "push protection", "contain secrets",
	    "push declined due to repository rule violations: secret"},
	"GitHub found a secret in the commits: take it out of the work branch"},
    {PUSH_PROTECTED, -EPERM,
	{"GH006", "GH013", "protected branch", "repository rule violations", "pre-receive hook declined"},
	"a rule of the repository forbids it: choose another branch prefix, or let the token's owner bypass "
	"the rule"},
    {PUSH_TOO_BIG, -EFBIG,
	{"GH001", "exceeds GitHub's file size limit", "larger than", "remote unpack failed: index-pack"},
	"a file is too big for GitHub: take it out of the work branch, or use git-lfs"},
    {PUSH_FOREIGN, -ESTALE,
	{"stale info", "fetch first", "non-fast-forward", "failed to update ref", "cannot lock ref"},
	"somebody else has pushed to this branch: merge it, or remove it on GitHub, and resume"},
    {PUSH_DENIED, -EACCES,
	{"Authentication failed", "could not read Username", "could not read Password", "returned error: 401",
	    "returned error: 403", "Invalid username or"},
	"the token may not push here: it needs contents: write (and must not be over)"},
    {PUSH_DENIED, -EACCES, {"Permission to", "Write access to repository not granted", "denied to"},
	"the token may not push here: it needs contents: write"},
    {PUSH_MISSING, -ENOENT, {"Repository not found", "returned error: 404", "not found"},
	"there is no such repository, or the token may not see it"},
    {PUSH_NETWORK, -ENETUNREACH,
	{"Could not resolve host", "Failed to connect", "Connection refused", "Connection reset", "timed out",
	    "SSL"},
	"GitHub was not reached: try again, and look at proxy and certificates"},
    {PUSH_NETWORK, -ENETUNREACH,
	{"unexpected disconnect", "early EOF", "RPC failed", "hung up unexpectedly", "returned error: 5",
	    "Empty reply from server"},
	"the connection to GitHub broke: try again"},
    {PUSH_REJECTED, -EPERM, {"[remote rejected]", "remote rejected", "remote: error"}, "GitHub refused it"},
};

/* The lines that carry the reason, as one. */
static char *
reason_of(const char *said)
{
	char *out = xmalloc(strlen(said) * 2 + 1), *line;
	size_t n = 0;

	for (const char *p = said; *p != '\0';) {
		size_t len = strcspn(p, "\r\n"), skip = 0;
		bool use = false;

		if (strncmp(p, "remote: ", 8) == 0 || strncmp(p, "error: ", 7) == 0 ||
		    strncmp(p, "fatal: ", 7) == 0) {
			skip = (size_t)(strchr(p, ' ') - p) + 1;
			use = true;
		} else if (p[0] == '!' && p[1] == '\t') {
			skip = 2;
			use = true;
		}
		if (use && len > skip) {
			if (n > 0)
				n += (size_t)(stpcpy(out + n, "; ") - (out + n));
			memcpy(out + n, p + skip, len - skip);
			n += len - skip;
		}
		p += len + (p[len] != '\0');
	}
	out[n] = '\0';
	line = text_line(out[0] != '\0' ? out : said, WORDS_MAX);
	free(out);
	return line;
}

enum push_outcome
push_judge(const char *what, const char *said, struct err *e)
{
	char *reason = reason_of(said);
	enum push_outcome outcome = PUSH_BROKEN;
	const char *advice = "git failed";
	int error = -EIO;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && outcome == PUSH_BROKEN; i++)
		for (size_t k = 0; k < 6 && rules[i].words[k] != NULL; k++)
			if (strcasestr(said, rules[i].words[k]) != NULL) {
				outcome = rules[i].outcome;
				advice = rules[i].advice;
				error = rules[i].error;
				break;
			}
	err_set(e, error, "cannot %s: %s (%s)", what, advice, reason);
	free(reason);
	return outcome;
}

const char *
push_outcome_name(enum push_outcome o)
{
	static const char *const names[] = {[PUSH_DONE] = "done",
	    [PUSH_FOREIGN] = "foreign",
	    [PUSH_PROTECTED] = "protected",
	    [PUSH_WORKFLOW] = "workflow",
	    [PUSH_SECRET] = "secret",
	    [PUSH_TOO_BIG] = "too big",
	    [PUSH_DENIED] = "denied",
	    [PUSH_MISSING] = "missing",
	    [PUSH_REJECTED] = "rejected",
	    [PUSH_NETWORK] = "network",
	    [PUSH_STOPPED] = "stopped",
	    [PUSH_BROKEN] = "broken"};

	return names[o];
}
