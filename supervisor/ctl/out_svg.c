/*
 * out_svg: who worked when, as a picture that needs nothing from anywhere: no script, no font, no link. Text
 * from elsewhere is one line, cut, and escaped for XML; what XML 1.0 has no place for is left out.
 */
#include "supervisor/ctl/out.h"

#include "common/clock.h"
#include "common/text.h"
#include "supervisor/ctl/report.h"

#include <stdlib.h>
#include <string.h>

#define LEFT 300 /* px: the names */
#define WIDE 860 /* px: the time */
#define TOP 64
#define ROW 22
#define BAR 14
#define TICKS 8
#define LABEL_COLUMNS 40

static const char *const fills[] = {
#define S(NAME, name, fill, help) fill,
    REPORT_SPANS(S)
#undef S
};
static const char *const helps[] = {
#define S(NAME, name, fill, help) help,
    REPORT_SPANS(S)
#undef S
};

static void
put(FILE *f, const char *text, size_t max)
{
	char *line = text_line(text == NULL ? "" : text, max);

	for (const char *p = line; *p != '\0'; p++) {
		if (strncmp(p, "\xef\xbf\xbe", 3) == 0 || strncmp(p, "\xef\xbf\xbf", 3) == 0) {
			p += 2; /* U+FFFE and U+FFFF are no characters of XML */
			continue;
		}
		if (*p == '&')
			fputs("&amp;", f);
		else if (*p == '<')
			fputs("&lt;", f);
		else if (*p == '>')
			fputs("&gt;", f);
		else if (*p == '"')
			fputs("&quot;", f);
		else
			fputc(*p, f);
	}
	free(line);
}

/* As much of a name as there is room for. */
static void
put_label(FILE *f, const char *text)
{
	char *line = text_line(text, 200);

	if (text_columns(line) > LABEL_COLUMNS) {
		size_t n = strlen(line);

		while (n > 0 && (text_columns(line) > LABEL_COLUMNS - 1 || (line[n] & 0xc0) == 0x80))
			line[--n] = '\0';
		put(f, line, 4096);
		fputs("\xe2\x80\xa6", f);
	} else {
		put(f, line, 4096);
	}
	free(line);
}

struct scale {
	int64_t from, length;
};

static double
x_of(const struct scale *s, int64_t at)
{
	return LEFT + (double)(at - s->from) * WIDE / (double)s->length;
}

/* The round step that makes few enough lines. */
static int64_t
tick_step(int64_t length)
{
	static const int64_t steps[] = {100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000,
	    300000, 600000, 900000, 1800000, 3600000, 7200000, 10800000, 21600000, 43200000, 86400000};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (length / steps[i] <= TICKS)
			return steps[i];
	return (length / TICKS / 86400000 + 1) * 86400000;
}

static void
put_axis(FILE *f, const struct scale *s, int bottom)
{
	int64_t step = tick_step(s->length);
	char text[32];

	for (int64_t at = 0; at <= s->length; at += step) {
		double x = x_of(s, s->from + at);

		fprintf(f, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#e2e8f0\"/>\n", x,
		    TOP - 6, x, bottom);
		if (step < 1000)
			snprintf(text, sizeof(text), "%.1fs", (double)at / 1000);
		else
			clock_age(text, sizeof(text), at);
		fprintf(f, "<text x=\"%.1f\" y=\"%d\" fill=\"#64748b\" text-anchor=\"middle\">%s</text>\n", x,
		    TOP - 10, text);
	}
}

static const char *
end_fill(const char *state)
{
	if (strcmp(state, "integrated") == 0)
		return "#16a34a";
	if (strcmp(state, "failed") == 0)
		return "#dc2626";
	return strcmp(state, "cancelled") == 0 ? "#64748b" : NULL;
}

static void
put_row(FILE *f, const struct report_task *t, const struct scale *s, int y)
{
	const struct msg_task_info *i = t->task->info;
	int indent = t->task->worker != 0 ? 24 : t->task->em != 0 ? 12 : 0;
	char age[32];
	double x = 0;

	fprintf(f, "<text x=\"%d\" y=\"%d\"%s>", 12 + indent, y + BAR - 3,
	    t->task->worker == 0 ? " font-weight=\"bold\"" : "");
	put_label(f, i->title);
	fputs("<title>", f);
	put(f, i->task, 128);
	fputs(": ", f);
	put(f, i->title, 400);
	if (i->reason != NULL) {
		fputs("; ", f);
		put(f, i->reason, 400);
	}
	fputs("</title></text>\n", f);
	for (size_t n = 0; n < t->span_count; n++) {
		const struct report_span *p = &t->spans[n];
		double w = x_of(s, p->to) - x_of(s, p->from);

		x = x_of(s, p->to);
		fprintf(f,
		    "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"><title>%s, "
		    "%s</title></rect>\n",
		    x_of(s, p->from), y, w < 0.5 ? 0.5 : w, BAR, fills[p->what], helps[p->what],
		    clock_age(age, sizeof(age), p->to - p->from));
	}
	if (t->span_count > 0 && end_fill(i->state) != NULL)
		fprintf(f,
		    "<circle cx=\"%.1f\" cy=\"%d\" r=\"5\" fill=\"%s\" "
		    "stroke=\"#fff\"><title>%s</title></circle>\n",
		    x, y + BAR / 2, end_fill(i->state), i->state);
}

static void
put_legend(FILE *f, int y)
{
	static const char *const ends[] = {"integrated", "failed", "cancelled"};
	int x = 12;

	for (int i = 0; i < REPORT_WHAT_COUNT; i++) {
		fprintf(
		    f, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"12\" fill=\"%s\"/>", x, y, fills[i]);
		fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 19, y + 10, helps[i]);
		x += 36 + (int)strlen(helps[i]) * 7;
	}
	for (size_t i = 0; i < 3; i++) {
		fprintf(
		    f, "<circle cx=\"%d\" cy=\"%d\" r=\"5\" fill=\"%s\"/>", x + 6, y + 6, end_fill(ends[i]));
		fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 16, y + 10, ends[i]);
		x += 36 + (int)strlen(ends[i]) * 7;
	}
}

void
out_svg(struct out *o, const struct report *r)
{
	int bottom = TOP + (int)r->count * ROW, height = bottom + 40;
	struct scale s = {r->from, r->to > r->from ? r->to - r->from : 1};
	char age[32];

	fprintf(o->f,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
	    "font-family=\"sans-serif\" font-size=\"12\" fill=\"#0f172a\">\n",
	    LEFT + WIDE + 40, height, LEFT + WIDE + 40, height);
	fputs(
	    "<defs><pattern id=\"wait\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
	    "patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#e2e8f0\"/><rect "
	    "width=\"3\" "
	    "height=\"6\" fill=\"#94a3b8\"/></pattern></defs>\n"
	    "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"12\" y=\"24\" font-size=\"15\" "
	    "font-weight=\"bold\">",
	    o->f);
	put(o->f, r->run->info->title, 110);
	fprintf(o->f, "</text>\n<text x=\"12\" y=\"42\" fill=\"#64748b\">run %s: %s, %s</text>\n", r->run->id,
	    r->run->info->state, clock_age(age, sizeof(age), r->to - r->from));
	put_axis(o->f, &s, bottom);
	for (size_t i = 0; i < r->count; i++)
		put_row(o->f, &r->tasks[i], &s, TOP + (int)i * ROW);
	put_legend(o->f, bottom + 16);
	fputs("</svg>\n", o->f);
}
