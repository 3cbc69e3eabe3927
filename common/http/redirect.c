/* redirect: see redirect.h. */
#include "common/http/redirect.h"

#include "common/alloc.h"
#include "common/http/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOCATION_MAX 8192

bool
redirect_is(int status)
{
	return status == 301 || status == 302 || status == 307 || status == 308;
}

bool
redirect_is_permanent(int status)
{
	return status == 301 || status == 308;
}

/* location seen from url; NULL when it cannot be. */
static char *
resolve(const char *url, const char *location)
{
	CURLU *u = curl_url();
	char *whole = NULL, *copy = NULL;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_URL, location, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK)
		copy = xstrdup(whole);
	curl_free(whole);
	curl_url_cleanup(u);
	return copy;
}

int
redirect_next(const char *url, const char *location, char **next_out, bool *same_origin, struct err *e)
{
	char *here = transfer_origin(url), *next, *there = NULL;
	int rc = 0;

	if (here == NULL)
		return err_set(e, -EPROTO, "a redirect from what is no URL");
	next = location == NULL || strlen(location) > LOCATION_MAX ? NULL : resolve(url, location);
	if (next != NULL)
		there = transfer_origin(next);
	if (there == NULL)
		rc = err_set(e, -EPROTO, "%s redirects to nowhere that can be followed", here);
	else if (strncmp(here, "https:", 6) == 0 && strncmp(there, "https:", 6) != 0)
		rc = err_set(e, -EPROTO, "%s redirects to %s, which is not encrypted", here, there);
	if (rc == 0) {
		*same_origin = strcmp(here, there) == 0;
		*next_out = next;
		next = NULL;
	}
	free(next);
	free(here);
	free(there);
	return rc;
}
