/* github_cache: see github_cache.h. */
#include "director/github_cache.h"

#include "common/alloc.h"

#include <stdlib.h>
#include <string.h>

void
github_cache_init(struct github_cache *c)
{
	TAILQ_INIT(&c->list);
	c->size = 0;
}

static void
drop(struct github_cache *c, struct github_cached *one)
{
	TAILQ_REMOVE(&c->list, one, entry);
	c->size -= one->size;
	free(one->url);
	free(one->etag);
	free(one->link);
	free(one->body);
	free(one);
}

void
github_cache_clear(struct github_cache *c)
{
	struct github_cached *one;

	while ((one = TAILQ_FIRST(&c->list)) != NULL)
		drop(c, one);
}

static struct github_cached *
find(const struct github_cache *c, const char *url)
{
	struct github_cached *one;

	TAILQ_FOREACH (one, &c->list, entry)
		if (strcmp(one->url, url) == 0)
			return one;
	return NULL;
}

const struct github_cached *
github_cache_find(const struct github_cache *c, const char *url)
{
	return find(c, url);
}

void
github_cache_put(struct github_cache *c, const char *url, const char *etag, const char *link,
    const char *body, size_t size)
{
	struct github_cached *one = find(c, url);

	if (one != NULL)
		drop(c, one);
	if (etag == NULL || size > GITHUB_CACHE_BYTES / 4)
		return;
	one = xcalloc(1, sizeof(*one));
	one->url = xstrdup(url);
	one->etag = xstrdup(etag);
	one->link = xstrdup(link);
	one->body = xstrndup(body, size);
	one->size = size;
	TAILQ_INSERT_HEAD(&c->list, one, entry);
	c->size += size;
	while (c->size > GITHUB_CACHE_BYTES)
		drop(c, TAILQ_LAST(&c->list, github_cached_list));
}
