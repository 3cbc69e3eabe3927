/*
 * orch-probe: asks one endpoint for one answer and says how far it came, as one line of JSON on stdout. The
 * URL comes on stdin, because it may hold a password. A program of its own, alive for a moment: libcurl and
 * what it brings were measured to take 2.5 MB of each process (PSS, 1.3 MB of it private), and its resolver
 * may block here.
 *
 * It sends a HEAD without any key: whether the endpoint answers is asked, not what.
 */
#include <curl/curl.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 4096
#define PROBE_MS 5000L
#define ANSWER_MAX (256 * 1024) /* bytes of headers; then it is no endpoint of ours */

struct probe {
	char url[URL_MAX];
	char *where; /* scheme://host:port alone */
	char error[CURL_ERROR_SIZE];
	CURL *curl;
	CURLcode code;
	size_t seen;
};

static int
read_url(struct probe *p)
{
	size_t n = fread(p->url, 1, sizeof(p->url) - 1, stdin);

	p->url[n] = '\0';
	p->url[strcspn(p->url, "\r\n")] = '\0';
	return p->url[0] != '\0' ? 0 : -1;
}

static char *
get_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

/* False when it is no URL that a model could be asked at. */
static bool
find_where(struct probe *p)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;
	bool fine;

	if (u == NULL || curl_url_set(u, CURLUPART_URL, p->url, 0) != CURLUE_OK) {
		curl_url_cleanup(u);
		return false;
	}
	scheme = get_part(u, CURLUPART_SCHEME);
	host = get_part(u, CURLUPART_HOST);
	port = get_part(u, CURLUPART_PORT);
	fine = scheme != NULL && host != NULL && port != NULL && strncmp(scheme, "http", 4) == 0;
	if (fine && asprintf(&p->where, "%s://%s:%s", scheme, host, port) < 0)
		fine = false;
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return fine;
}

static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
	struct probe *p = arg;

	(void)data;
	p->seen += size * count;
	return p->seen <= ANSWER_MAX ? size * count : 0;
}

static void
ask(struct probe *p)
{
	const char *ca = getenv("SSL_CERT_FILE");

	curl_easy_setopt(p->curl, CURLOPT_URL, p->url);
	curl_easy_setopt(p->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(p->curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->curl, CURLOPT_TIMEOUT_MS, PROBE_MS);
	curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(p->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(p->curl, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(p->curl, CURLOPT_USERAGENT, "orch-probe/" ORCH_VERSION);
	if (ca != NULL && *ca != '\0')
		curl_easy_setopt(p->curl, CURLOPT_CAINFO, ca);
	p->code = curl_easy_perform(p->curl);
}

static curl_off_t
us_of(const struct probe *p, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(p->curl, info, &us);
	return us;
}

static long
status_of(const struct probe *p)
{
	long status = 0;

	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* The step that failed: where curl does not say, the first one that took no time. "answer": none did. */
static const char *
stage_of(const struct probe *p)
{
	if (status_of(p) > 0)
		return "answer";
	switch (p->code) {
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
	if (us_of(p, CURLINFO_NAMELOOKUP_TIME_T) == 0)
		return "dns";
	if (us_of(p, CURLINFO_CONNECT_TIME_T) == 0)
		return "connect";
	if (strncmp(p->where, "https", 5) == 0 && us_of(p, CURLINFO_APPCONNECT_TIME_T) == 0)
		return "tls";
	return "http";
}

/* The kernel's words are plainer than curl's. */
static const char *
words_of(const struct probe *p)
{
	long number = 0;

	if (p->code == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(p->curl, CURLINFO_OS_ERRNO, &number);
	if (number != 0)
		return strerror((int)number);
	return p->error[0] != '\0' ? p->error : curl_easy_strerror(p->code);
}

static void
report(const struct probe *p, const char *stage)
{
	const char *ip = NULL;
	json_t *j;

	if (p->curl != NULL)
		curl_easy_getinfo(p->curl, CURLINFO_PRIMARY_IP, &ip);
	j = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:b}", "stage", stage, "where",
	    p->where != NULL ? p->where : "", "address", ip != NULL ? ip : "", "error", words_of(p), "status",
	    (json_int_t)(p->curl != NULL ? status_of(p) : 0), "us",
	    (json_int_t)(p->curl != NULL ? us_of(p, CURLINFO_TOTAL_TIME_T) : 0), "timeout",
	    p->code == CURLE_OPERATION_TIMEDOUT);
	if (j == NULL) /* a text that is no UTF-8 */
		j = json_pack("{s:s}", "stage", stage);
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

int
main(void)
{
	struct probe p = {.code = CURLE_URL_MALFORMAT};

	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (read_url(&p) == 0 && find_where(&p)) {
		p.curl = curl_easy_init();
		if (p.curl == NULL)
			return 1;
		ask(&p);
		report(&p, stage_of(&p));
	} else {
		report(&p, "url");
	}
	curl_easy_cleanup(p.curl);
	free(p.where);
	curl_global_cleanup();
	return 0;
}
