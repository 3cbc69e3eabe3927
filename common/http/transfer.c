/* transfer: see transfer.h. */
#include "common/http/transfer.h"

#include "common/alloc.h"

#include <stdlib.h>
#include <string.h>

void
transfer_set_up(CURL *c, const char *url, const char *ca_file)
{
	const char *ca = ca_file != NULL ? ca_file : getenv("SSL_CERT_FILE");

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca != NULL && *ca != '\0')
		curl_easy_setopt(c, CURLOPT_CAINFO, ca);
}

static char *
get_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

char *
transfer_origin(const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;

	if (u == NULL || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK) {
		curl_url_cleanup(u);
		return NULL;
	}
	scheme = get_part(u, CURLUPART_SCHEME);
	host = get_part(u, CURLUPART_HOST);
	port = get_part(u, CURLUPART_PORT);
	if (scheme != NULL && host != NULL && port != NULL &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0))
		origin = xasprintf("%s://%s:%s", scheme, host, port);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return origin;
}

bool
transfer_is_loopback(const char *origin)
{
	const char *host = strstr(origin, "://");

	host = host == NULL ? origin : host + 3;
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost:", 10) == 0 ||
	       strncmp(host, "[::1]:", 6) == 0;
}

static curl_off_t
us_of(CURL *c, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(c, info, &us);
	return us;
}

const char *
transfer_stage(CURL *c, CURLcode code, bool tls)
{
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (status > 0)
		return "answer";
	switch (code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return "url";
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "dns";
	case CURLE_COULDNT_CONNECT:
		return "connect";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return "tls";
	default:
		break;
	}
	if (us_of(c, CURLINFO_NAMELOOKUP_TIME_T) == 0)
		return "dns";
	if (us_of(c, CURLINFO_CONNECT_TIME_T) == 0)
		return "connect";
	if (tls && us_of(c, CURLINFO_APPCONNECT_TIME_T) == 0)
		return "tls";
	return "http";
}

/* The kernel's words are plainer than curl's. */
const char *
transfer_words(CURL *c, CURLcode code, const char *said)
{
	long number = 0;

	if (code == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &number);
	if (number != 0)
		return strerror((int)number);
	return said[0] != '\0' ? said : curl_easy_strerror(code);
}
