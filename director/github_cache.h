/* github_cache: answers to GETs with their ETags, so that what has not changed costs no request. Bounded; the
 * oldest goes first. Pure. */
#ifndef ORCH_DIRECTOR_GITHUB_CACHE_H
#define ORCH_DIRECTOR_GITHUB_CACHE_H

#include <stddef.h>
#include <sys/queue.h>

#define GITHUB_CACHE_BYTES (1u << 20)

struct github_cached {
	char *url, *etag, *link, *body; /* link may be NULL */
	size_t size;
	TAILQ_ENTRY(github_cached) entry;
};

struct github_cache {
	TAILQ_HEAD(github_cached_list, github_cached) list; /* newest first */
	size_t size;
};

void github_cache_init(struct github_cache *c);
void github_cache_clear(struct github_cache *c);
/* What is known of url, or NULL; borrowed until the next put. */
const struct github_cached *github_cache_find(const struct github_cache *c, const char *url);
/* Copies. Passed over when it is too big to be worth it, or has no ETag. */
void github_cache_put(struct github_cache *c, const char *url, const char *etag, const char *link,
    const char *body, size_t size);

#endif
