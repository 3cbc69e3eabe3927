/* github_name: which repository of which GitHub: from a remote's URL or from names, and where its API is.
 * Pure. */
#ifndef ORCH_DIRECTOR_GITHUB_NAME_H
#define ORCH_DIRECTOR_GITHUB_NAME_H

#include "common/err.h"

#include <stdbool.h>

struct github_name {
	char *host; /* "github.com", with its port where one is given; NULL when only names were */
	char *owner, *repo;
};

/*
 * https://host/owner/repo(.git), ssh://git@host/owner/repo, git@host:owner/repo, and what a path below a
 * GHES without a subdomain has. Credentials in the URL are passed over. -EINVAL with a sentence, which does
 * not hold the URL: it may hold a password.
 */
int github_name_from_remote(struct github_name *n, const char *url, struct err *e);
/* REPO_OWNER and REPO_NAME; REPO_NAME may be "owner/repo", as GITHUB_REPOSITORY is. owner may be NULL then.
 */
int github_name_from_parts(struct github_name *n, const char *owner, const char *repo, struct err *e);
void github_name_clear(struct github_name *n);

/*
 * The API's base without a slash at its end, in fresh memory: api_url (GITHUB_API_URL) where it is given,
 * else that of host ("github.com" and NULL: https://api.github.com, else https://HOST/api/v3). -EINVAL with a
 * sentence: no http URL, credentials in it, or http to anything but this machine (the token would travel in
 * the clear).
 */
int github_api_base(char **base, const char *api_url, const char *host, struct err *e);
/* Where that API answers GraphQL, in fresh memory. */
char *github_graphql_url(const char *base);
/* Where git fetches and pushes: server_url (GITHUB_SERVER_URL), else what belongs to the API's base. Fresh.
 */
char *github_git_url(const struct github_name *n, const char *base, const char *server_url);

/* Is it a name that GitHub gives to users and repositories? Nothing else is put into a path. */
bool github_name_ok(const char *name);
/* Percent-encodes everything but unreserved characters, slashes too: a ref or label as one path element. */
char *github_escape(const char *text);

#endif
