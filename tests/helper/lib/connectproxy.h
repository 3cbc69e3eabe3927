/*
 * connectproxy: an HTTP proxy on loopback, a process of its own, that takes CONNECT to any name and carries
 * the connection to one port of 127.0.0.1: no name is ever resolved.
 */
#ifndef ORCH_TESTS_CONNECTPROXY_H
#define ORCH_TESTS_CONNECTPROXY_H

#include <stdio.h>
#include <sys/types.h>

struct connectproxy {
	pid_t pid;
	unsigned port;
	FILE *asked; /* a line for each connection: "CONNECT api.invalid:443 HTTP/1.1" */
};

void connectproxy_start(struct connectproxy *p, unsigned target_port);
void connectproxy_stop(struct connectproxy *p);

#endif
