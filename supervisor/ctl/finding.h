/* finding: one line of orchctl doctor. */
#ifndef ORCH_CTL_FINDING_H
#define ORCH_CTL_FINDING_H

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_ERROR };

struct finding {
	enum finding_level level;
	const char *name; /* static: "git", "disk" */
	char text[512];   /* what was seen */
	char todo[512];   /* what to do; "" when ok */
};

void found(struct finding *f, enum finding_level level, const char *todo, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
