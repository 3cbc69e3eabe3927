/* github_threads: what REST does not tell of a pull request's threads (see github_api.h). */
#include "director/github_api.h"

#include "common/alloc.h"
#include "common/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define QUERY                                                                                                \
	"query($owner:String!,$name:String!,$pull:Int!,$after:String){repository(owner:$owner,name:$name){"  \
	"pullRequest(number:$pull){reviewThreads(first:100,after:$after){pageInfo{hasNextPage endCursor}"    \
	"nodes{isResolved comments(first:1){nodes{databaseId}}}}}}}"

static const json_t *
down(const json_t *j, const char *const *keys)
{
	for (; *keys != NULL; keys++)
		j = json_object_get(j, *keys);
	return j;
}

/* 0; 1: enough; -errno of fn. */
static int
tell(const json_t *threads, github_resolved_fn *fn, void *arg, struct err *e)
{
	const json_t *node;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(threads, "nodes"), i, node) {
		const json_t *first =
		    json_array_get(json_object_get(json_object_get(node, "comments"), "nodes"), 0);
		json_int_t id = json_integer_value(json_object_get(first, "databaseId"));

		if (rc == 0 && id > 0 && json_is_true(json_object_get(node, "isResolved")))
			rc = fn(arg, (uint64_t)id, e);
	}
	return rc;
}

int
github_resolved_each(struct github *gh, uint64_t pull, github_resolved_fn *fn, void *arg, struct err *e)
{
	static const char *const where[] = {"data", "repository", "pullRequest", "reviewThreads", NULL};
	char *url = github_graphql_url(github_base(gh)), *after = NULL;
	char *what = xasprintf("ask which threads of pull request %" PRIu64 " are resolved", pull);
	int rc = 0;

	for (unsigned page = 0; rc == 0 && page < GITHUB_PAGES_MAX; page++) {
		json_t *answer = NULL;
		const json_t *threads, *info;

		rc = github_send(gh, what, "POST", url,
		    json_pack("{s:s, s:{s:s, s:s, s:I, s:s?}}", "query", QUERY, "variables", "owner",
			github_owner(gh), "name", github_repo(gh), "pull", (json_int_t)pull, "after", after),
		    &answer, e);
		threads = down(answer, where);
		info = json_object_get(threads, "pageInfo");
		if (rc == 0)
			rc = tell(threads, fn, arg, e);
		xreplace(&after, json_str(info, "endCursor"));
		if (!json_is_true(json_object_get(info, "hasNextPage")) || after == NULL)
			page = GITHUB_PAGES_MAX;
		json_decref(answer);
	}
	free(after);
	free(url);
	free(what);
	return rc < 0 ? rc : 0;
}
