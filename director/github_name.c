/* github_name: see github_name.h. */
#include "director/github_name.h"

#include "common/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 100
#define HOST_BYTES 255
#define PUBLIC_HOST "github.com"
#define PUBLIC_API "https://api.github.com"

bool
github_name_ok(const char *name)
{
	size_t n = name == NULL ? 0 : strlen(name);

	if (n == 0 || n > NAME_BYTES || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL)
			return false;
	return true;
}

static bool
host_ok(const char *host)
{
	size_t n = strlen(host);

	if (n == 0 || n > HOST_BYTES || host[0] == '-' || host[0] == '.')
		return false;
	for (const char *p = host; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("-.:[]", *p) == NULL)
			return false;
	return true;
}

void
github_name_clear(struct github_name *n)
{
	free(n->host);
	free(n->owner);
	free(n->repo);
	memset(n, 0, sizeof(*n));
}

/* Takes "owner/repo", with what may stand before (a folder of the server) and behind (.git, slashes). */
static bool
take_path(struct github_name *n, const char *path)
{
	char *copy, *repo, *owner;
	size_t len;

	while (*path == '/')
		path++;
	copy = xstrdup(path);
	len = strlen(copy);
	while (len > 0 && copy[len - 1] == '/')
		copy[--len] = '\0';
	if (len > 4 && strcmp(copy + len - 4, ".git") == 0)
		copy[len - 4] = '\0';
	repo = strrchr(copy, '/');
	if (repo != NULL) {
		*repo++ = '\0';
		owner = strrchr(copy, '/');
		owner = owner == NULL ? copy : owner + 1;
		if (github_name_ok(owner) && github_name_ok(repo)) {
			n->owner = xstrdup(owner);
			n->repo = xstrdup(repo);
		}
	}
	free(copy);
	return n->owner != NULL;
}

/* authority: [user[:password]@]host[:port]. Of ssh the port is not the API's. */
static bool
take_host(struct github_name *n, const char *authority, size_t size, bool ssh)
{
	const char *at = memrchr(authority, '@', size);
	char *host, *colon;

	if (at != NULL) {
		size -= (size_t)(at + 1 - authority);
		authority = at + 1;
	}
	host = xstrndup(authority, size);
	for (char *p = host; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	colon = strrchr(host, ':');
	if (ssh && colon != NULL && strchr(colon, ']') == NULL)
		*colon = '\0';
	/* GitHub answers ssh on port 443 under names of its own. */
	if (strcmp(host, "ssh.github.com") == 0 || strcmp(host, "www.github.com") == 0) {
		free(host);
		host = xstrdup(PUBLIC_HOST);
	}
	if (!host_ok(host)) {
		free(host);
		return false;
	}
	n->host = host;
	return true;
}

int
github_name_from_remote(struct github_name *n, const char *url, struct err *e)
{
	static const char *const schemes[] = {"https://", "http://", "ssh://", "git+ssh://", "git://"};
	struct github_name found = {0};
	const char *rest = NULL, *colon;
	bool ssh = false, fine = false;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]) && rest == NULL; i++)
		if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0) {
			rest = url + strlen(schemes[i]);
			ssh = i >= 2;
		}
	if (rest != NULL) {
		size_t size = strcspn(rest, "/");

		fine = take_host(&found, rest, size, ssh) && take_path(&found, rest + size);
	} else if (strstr(url, "://") == NULL && (colon = strchr(url, ':')) != NULL &&
		   memchr(url, '/', (size_t)(colon - url)) == NULL) {
		fine = take_host(&found, url, (size_t)(colon - url), true) && take_path(&found, colon + 1);
	}
	if (!fine) {
		github_name_clear(&found);
		return err_set(e, -EINVAL,
		    "the remote's URL names no repository on GitHub (as https://HOST/OWNER/NAME does): set "
		    "REPO_OWNER and REPO_NAME");
	}
	*n = found;
	return 0;
}

int
github_name_from_parts(struct github_name *n, const char *owner, const char *repo, struct err *e)
{
	const char *slash = repo == NULL ? NULL : strchr(repo, '/');
	char *first = slash != NULL ? xstrndup(repo, (size_t)(slash - repo)) : xstrdup(owner);
	int rc = 0;

	if (slash != NULL && owner != NULL && strcasecmp(owner, first) != 0)
		rc = err_set(e, -EINVAL, "REPO_OWNER and the owner in REPO_NAME differ");
	else if (!github_name_ok(first))
		rc = err_set(e, -EINVAL, "REPO_OWNER is no name of a user or organisation on GitHub");
	else if (!github_name_ok(slash != NULL ? slash + 1 : repo))
		rc = err_set(e, -EINVAL, "REPO_NAME is no name of a repository on GitHub");
	if (rc == 0)
		*n = (struct github_name){.owner = first, .repo = xstrdup(slash != NULL ? slash + 1 : repo)};
	else
		free(first);
	return rc;
}

static bool
is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
	       (strncmp(host, "localhost", 9) == 0 && strchr(":/", host[9]) != NULL);
}

int
github_api_base(char **base, const char *api_url, const char *host, struct err *e)
{
	size_t n;
	const char *rest;

	if (api_url == NULL || *api_url == '\0') {
		if (host == NULL || strcmp(host, PUBLIC_HOST) == 0)
			*base = xstrdup(PUBLIC_API);
		else
			*base = xasprintf("https://%s/api/v3", host);
		return 0;
	}
	rest = strstr(api_url, "://");
	if (rest == NULL || (strncmp(api_url, "https://", 8) != 0 && strncmp(api_url, "http://", 7) != 0))
		return err_set(e, -EINVAL, "GITHUB_API_URL is no http URL");
	rest += 3;
	n = strcspn(rest, "/?#");
	if (memchr(rest, '@', n) != NULL)
		return err_set(
		    e, -EINVAL, "GITHUB_API_URL holds credentials: put the token into GITHUB_TOKEN");
	if (n == 0 || strpbrk(rest, "?# \t\r\n\"\\") != NULL)
		return err_set(e, -EINVAL, "GITHUB_API_URL is no base of an API");
	if (strncmp(api_url, "http://", 7) == 0 && !is_loopback(rest))
		return err_set(
		    e, -EINVAL, "GITHUB_API_URL is http: the token would travel in the clear; use https");
	n = strlen(api_url);
	while (n > 0 && api_url[n - 1] == '/')
		n--;
	*base = xstrndup(api_url, n);
	return 0;
}

/* The base without "/v3" at its end: GHES has https://HOST/api/v3 and https://HOST/api/graphql. */
char *
github_graphql_url(const char *base)
{
	size_t n = strlen(base);

	if (n > 7 && strcmp(base + n - 7, "/api/v3") == 0)
		n -= 3;
	return xasprintf("%.*s/graphql", (int)n, base);
}

char *
github_git_url(const struct github_name *n, const char *base, const char *server_url)
{
	size_t size = strlen(base);

	if (server_url != NULL && *server_url != '\0') {
		size = strlen(server_url);
		while (size > 0 && server_url[size - 1] == '/')
			size--;
		return xasprintf("%.*s/%s/%s.git", (int)size, server_url, n->owner, n->repo);
	}
	if (strcmp(base, PUBLIC_API) == 0)
		return xasprintf("https://" PUBLIC_HOST "/%s/%s.git", n->owner, n->repo);
	if (size > 7 && strcmp(base + size - 7, "/api/v3") == 0)
		size -= 7;
	return xasprintf("%.*s/%s/%s.git", (int)size, base, n->owner, n->repo);
}

char *
github_escape(const char *text)
{
	char *out = xmalloc(strlen(text) * 3 + 1), *p = out;

	for (; *text != '\0'; text++)
		if (isalnum((unsigned char)*text) || strchr("-_.~", *text) != NULL)
			*p++ = *text;
		else
			p += sprintf(p, "%%%02X", (unsigned char)*text);
	*p = '\0';
	return out;
}
