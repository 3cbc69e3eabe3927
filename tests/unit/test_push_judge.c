/* push_judge: what GitHub's and git's words mean. */
#include "director/push_judge.h"

#include "tests/helper/lib/test.h"

#include <string.h>

static const struct {
	const char *said;
	enum push_outcome outcome;
	const char *advice;
} rows[] = {
    {"To https://x\n!\t1:refs/heads/b\t[rejected] (stale info)\nDone\n", PUSH_FOREIGN, "somebody else"},
    {"!\t1:refs/heads/b\t[rejected] (fetch first)", PUSH_FOREIGN, "somebody else"},
    {"!\t1:refs/heads/b\t[remote rejected] (cannot lock ref 'refs/heads/b': is at 1 but expected 2)",
	PUSH_FOREIGN, ""},
    {"remote: error: GH006: Protected branch update failed for refs/heads/main.\n!\tx\t[remote rejected] "
     "(protected "
     "branch hook declined)",
	PUSH_PROTECTED, "rule of the repository"},
    {"remote: error: GH013: Repository rule violations found for refs/heads/x.\n", PUSH_PROTECTED, "rule"},
    {"remote: error: GH009: Secrets detected! This push failed.", PUSH_SECRET, "secret"},
    {"remote: error: GH013: Repository rule violations found\nremote: - GITHUB PUSH PROTECTION\n",
	PUSH_SECRET, "secret"},
    {"!\tx\t[remote rejected] (refusing to allow a Personal Access Token to create or update workflow "
     "`.github/workflows/a.yml` without `workflow` scope)",
	PUSH_WORKFLOW, "workflow scope"},
    {"!\tx\t[remote rejected] (refusing to allow a GitHub App to create or update workflow "
     "`.github/workflows/a.yml` "
     "without `workflows` permission)",
	PUSH_WORKFLOW, "workflow scope"},
    {"remote: error: GH001: Large files detected.", PUSH_TOO_BIG, "git-lfs"},
    {"remote: Permission to o/r.git denied to x.\nfatal: unable to access 'https://x/': The requested URL "
     "returned error: "
     "403",
	PUSH_DENIED, "contents: write"},
    {"fatal: Authentication failed for 'https://x/'", PUSH_DENIED, "contents: write"},
    {"fatal: could not read Username for 'https://x': terminal prompts disabled", PUSH_DENIED,
	"contents: write"},
    {"remote: Repository not found.\nfatal: repository 'https://x/' not found", PUSH_MISSING,
	"may not see it"},
    {"fatal: unable to access 'https://x/': Could not resolve host: x", PUSH_NETWORK, "try again"},
    {"error: RPC failed; curl 56 Recv failure: Connection reset by peer", PUSH_NETWORK, "try again"},
    {"fatal: unable to access 'https://x/': The requested URL returned error: 502", PUSH_NETWORK,
	"try again"},
    {"!\tx\t[remote rejected] (hook said no)", PUSH_REJECTED, "refused"},
    {"fatal: bad object 123", PUSH_BROKEN, "bad object 123"},
    {"", PUSH_BROKEN, "git failed"},
};

static void
knows_every_refusal(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {""};
		enum push_outcome o = push_judge("push the branch b", rows[i].said, &e);

		if (o != rows[i].outcome || strstr(e.msg, rows[i].advice) == NULL)
			fail_msg("%s: %s: %s", rows[i].said, push_outcome_name(o), e.msg);
	}
}

static void
quotes_little_and_cleanly(void **state)
{
	char said[9000];
	struct err e = {""};

	(void)state;
	memset(said, 'x', sizeof(said));
	memcpy(said, "remote: \033[31m", 13);
	said[sizeof(said) - 1] = '\0';
	push_judge("push", said, &e);
	assert_null(strchr(e.msg, '\033'));
	assert_true(strlen(e.msg) < 600);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(knows_every_refusal),
	    cmocka_unit_test(quotes_little_and_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
