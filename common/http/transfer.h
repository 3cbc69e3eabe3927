/* transfer: what every curl transfer of ours is set to, and what is said of one that failed. Shared by http
 * and orch-probe. */
#ifndef ORCH_COMMON_HTTP_TRANSFER_H
#define ORCH_COMMON_HTTP_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>

/* Only HTTP, no signals, TLS verified by ca_file or $SSL_CERT_FILE or the system's certificates. */
void transfer_set_up(CURL *c, const char *url, const char *ca_file);

/* "scheme://host:port" of a URL for HTTP, in fresh memory; NULL when it is none, or not one of these. */
char *transfer_origin(const char *url);
bool transfer_is_loopback(const char *origin);

/* The step that failed: url, dns, connect, tls, http. Where curl does not say, the first one that took no
 * time; "answer" when an answer began. */
const char *transfer_stage(CURL *c, CURLcode code, bool tls);
/* Why, in a few words. said: the transfer's CURLOPT_ERRORBUFFER. */
const char *transfer_words(CURL *c, CURLcode code, const char *said);

#endif
