/*
 * orch-probe: asks one endpoint for one answer and says how far it came, as one line of JSON on stdout. The
 * URL comes on stdin, because it may hold a password. A program of its own, alive for a moment: libcurl and
 * what it brings were measured to take 2.5 MB of each process (PSS, 1.3 MB of it private), and its resolver
 * may block here.
 *
 * It sends a HEAD without any key: whether the endpoint answers is asked, not what.
 */
#include "common/http/transfer.h"

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
	transfer_set_up(p->curl, p->url, NULL);
	curl_easy_setopt(p->curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(p->curl, CURLOPT_TIMEOUT_MS, PROBE_MS);
	curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(p->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(p->curl, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(p->curl, CURLOPT_USERAGENT, "orch-probe/" ORCH_VERSION);
	p->code = curl_easy_perform(p->curl);
}

static void
report(const struct probe *p)
{
	const char *ip = NULL, *stage = "url", *words = curl_easy_strerror(p->code);
	curl_off_t us = 0;
	long status = 0;
	json_t *j;

	if (p->curl != NULL) {
		curl_easy_getinfo(p->curl, CURLINFO_PRIMARY_IP, &ip);
		curl_easy_getinfo(p->curl, CURLINFO_TOTAL_TIME_T, &us);
		curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
		stage = transfer_stage(p->curl, p->code, strncmp(p->where, "https", 5) == 0);
		words = transfer_words(p->curl, p->code, p->error);
	}
	j = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:b}", "stage", stage, "where",
	    p->where != NULL ? p->where : "", "address", ip != NULL ? ip : "", "error", words, "status",
	    (json_int_t)status, "us", (json_int_t)us, "timeout", p->code == CURLE_OPERATION_TIMEDOUT);
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
	if (read_url(&p) == 0)
		p.where = transfer_origin(p.url);
	if (p.where != NULL) {
		p.curl = curl_easy_init();
		if (p.curl == NULL)
			return 1;
		ask(&p);
	}
	report(&p);
	curl_easy_cleanup(p.curl);
	free(p.where);
	curl_global_cleanup();
	return 0;
}
