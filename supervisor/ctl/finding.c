/* finding: see finding.h. */
#include "supervisor/ctl/finding.h"

#include <stdarg.h>
#include <stdio.h>

void
found(struct finding *f, enum finding_level level, const char *todo, const char *fmt, ...)
{
	va_list ap;

	f->level = level;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	snprintf(f->todo, sizeof(f->todo), "%s", todo);
}
