/*
 * rounds: what people say of the run's pull request: read, given to the tasks whose work it is about, and
 * answered once the new work is pushed. A round is known to orchd from its beginning until everything is
 * answered, and GitHub has the answers: wherever this process is killed, the next one goes on.
 */
#ifndef ORCH_DIRECTOR_ROUNDS_H
#define ORCH_DIRECTOR_ROUNDS_H

#include "director/publish.h"
#include "proto/lead.h"

#include <jansson.h>

#define ROUNDS_MORE 2 /* as a result: not the end yet */

struct rounds {
	struct role *role;
	uint64_t round; /* how many began */
	json_t *open;   /* the one that is not answered; NULL: none */
	bool look;      /* the reviews are to be looked at, whatever else is known */
	char *question; /* what a person must see to; NULL */
};

/* As orchd has told it. */
int rounds_open(struct rounds *v, struct role *r, struct err *e);
void rounds_clear(struct rounds *v);

/* Sees to it that the round's own area exists, if it has one. */
int rounds_staff(struct rounds *v, struct lead *ld, struct err *e);

/*
 * All that there is to do has been done: hands it over, answers the round, and begins the next one when there
 * is something new. ROUNDS_MORE when one began; 0 when there is nothing, or GitHub did not let us (which is
 * told); -errno.
 */
int rounds_turn(struct rounds *v, struct publish *p, const struct publish_end *end, struct err *e);

#endif
