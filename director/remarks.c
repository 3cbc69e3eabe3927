/* remarks: what is still to be done of what people said (see remarks.h; who does it is in remarks_round.c).
 */
#include "director/remarks.h"

#include "common/alloc.h"
#include "common/text.h"
#include "director/issue_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 100
#define PATH_BYTES 1000

struct said {
	uint64_t id, review, root, line;
	uint64_t answers;               /* of ours: the last comment of the thread that it answers; 0: none */
	char *who, *when, *path, *body; /* body NULL: not kept */
	char state;                     /* of a review: its first letter */
	bool bot, me, insider, empty;
};

/* "<!-- orch: answer c12 -->": 12 for kind 'c'; 0. */
static uint64_t
marked(const char *body, char kind)
{
	const char *p = strstr(body, REMARK_MARKER);

	if (p == NULL || p[strlen(REMARK_MARKER)] != kind)
		return 0;
	return strtoull(p + strlen(REMARK_MARKER) + 1, NULL, 10);
}

static void *
grown(void *list, size_t count, size_t size)
{
	return (count & (count - 1)) == 0 ? xrealloc(list, (count == 0 ? 1 : count * 2) * size) : list;
}

static void
note(uint64_t **list, size_t *count, uint64_t id)
{
	*list = grown(*list, *count, sizeof(**list));
	(*list)[(*count)++] = id;
}

static bool
holds(const uint64_t *list, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == id)
			return true;
	return false;
}

static void
fill(struct remarks_source *s, struct said *x, const struct github_user *who, bool me,
    const char *association, const char *body, const char *when)
{
	x->bot = who->bot;
	x->me = me;
	x->insider = github_is_insider(association);
	x->who = text_line(who->login[0] != '\0' ? who->login : "somebody", NAME_BYTES);
	x->when = text_line(when, 30);
	x->empty = !issue_text_says_something(body);
	if (x->bot || x->empty || strstr(body, REMARK_MARKER) != NULL || s->bytes >= REMARKS_READ)
		return;
	x->body = text_utf8(body, strlen(body), REMARK_BYTES);
	s->bytes += strlen(x->body);
}

void
remarks_add_review(struct remarks_source *s, const struct github_review *r, bool me)
{
	struct said x = {.id = r->id, .state = r->state[0]};

	fill(s, &x, &r->author, me, r->association, r->body, r->submitted_at);
	s->reviews = grown(s->reviews, s->review_count, sizeof(x));
	s->reviews[s->review_count++] = x;
}

void
remarks_add_comment(struct remarks_source *s, const struct github_review_comment *c, bool me)
{
	struct said x = {.id = c->id,
	    .review = c->review,
	    .root = c->reply_to == 0 ? c->id : c->reply_to,
	    .line = c->line};

	fill(s, &x, &c->author, me, c->association, c->body, c->created_at);
	x.answers = me ? marked(c->body, 'c') : 0;
	x.path = c->path[0] == '\0' ? NULL : text_line(c->path, PATH_BYTES);
	s->comments = grown(s->comments, s->comment_count, sizeof(x));
	s->comments[s->comment_count++] = x;
}

void
remarks_add_below(struct remarks_source *s, const struct github_comment *c, bool me)
{
	uint64_t id = me ? marked(c->body, 'r') : 0;

	if (id != 0)
		note(&s->answered, &s->answered_count, id);
}

void
remarks_add_resolved(struct remarks_source *s, uint64_t comment)
{
	note(&s->resolved, &s->resolved_count, comment);
}

static void
free_said(struct said *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].who);
		free(list[i].when);
		free(list[i].path);
		free(list[i].body);
	}
	free(list);
}

void
remarks_source_clear(struct remarks_source *s)
{
	free_said(s->reviews, s->review_count);
	free_said(s->comments, s->comment_count);
	free(s->answered);
	free(s->resolved);
	memset(s, 0, sizeof(*s));
}

static const struct said *
find_review(const struct remarks_source *s, uint64_t id)
{
	for (size_t i = 0; i < s->review_count; i++)
		if (s->reviews[i].id == id)
			return &s->reviews[i];
	return NULL;
}

/* Was it taken back, or did the same person approve later? */
static bool
is_over(const struct remarks_source *s, const struct said *review)
{
	if (review == NULL)
		return false;
	if (review->state == 'D')
		return true;
	for (size_t i = 0; i < s->review_count; i++)
		if (s->reviews[i].id > review->id && s->reviews[i].state == 'A' &&
		    strcasecmp(s->reviews[i].who, review->who) == 0)
			return true;
	return false;
}

/* Is it a person's whose word counts? */
static bool
counts(const struct said *x, bool trust, struct remarks *out)
{
	if (x->bot || x->body == NULL)
		return false;
	if (trust)
		return true;
	out->own += x->me;
	out->strangers += !x->me && !x->insider;
	return !x->me && x->insider;
}

static uint64_t
answered_up_to(const struct remarks_source *s, uint64_t root)
{
	uint64_t last = 0;

	for (size_t i = 0; i < s->comment_count; i++)
		if (s->comments[i].root == root && s->comments[i].answers > last)
			last = s->comments[i].answers;
	return last;
}

bool
remarks_is_answered(const struct remarks_source *s, bool review, uint64_t id, uint64_t upto)
{
	return review ? holds(s->answered, s->answered_count, id) : answered_up_to(s, id) >= upto;
}

static void
add(struct remarks *out, const struct remark *r)
{
	out->list = grown(out->list, out->count, sizeof(*r));
	out->list[out->count++] = *r;
}

/* What is said, behind what was said before; the newest is kept. Fresh; before is freed. */
static char *
quote(char *before, const struct said *x)
{
	char *all = xasprintf("%s%s%s, %s:\n\n%s\n", before == NULL ? "" : before, before == NULL ? "" : "\n",
		 x->who, x->when, x->body),
	     *kept = text_tail(all, strlen(all), REMARK_THREAD);

	free(before);
	free(all);
	return kept;
}

/* One thread, when something in it is new. */
static void
pick_thread(const struct remarks_source *s, size_t first, bool trust, struct remarks *out)
{
	const struct said *top = &s->comments[first];
	uint64_t done = answered_up_to(s, top->root);
	struct remark r = {.id = top->root, .line = top->line};
	struct remarks ignored = {0};

	for (size_t i = first; i < s->comment_count; i++) {
		const struct said *x = &s->comments[i];
		bool fresh = x->root == top->root && x->id > done &&
			     !is_over(s, x->review == 0 ? NULL : find_review(s, x->review));

		if (x->root != top->root || !counts(x, trust, fresh ? out : &ignored))
			continue;
		r.text = quote(r.text, x);
		if (fresh) {
			r.upto = x->id;
			r.of = x->review;
		}
	}
	if (r.upto == 0) {
		free(r.text);
		return;
	}
	r.path = xstrdup(top->path);
	add(out, &r);
}

static void
pick_review(const struct remarks_source *s, const struct said *x, bool trust, struct remarks *out)
{
	struct remark r = {.review = true, .id = x->id, .upto = x->id};

	if (x->empty || (x->state != 'C') || is_over(s, x) || holds(s->answered, s->answered_count, x->id) ||
	    !counts(x, trust, out))
		return;
	r.text = quote(NULL, x);
	add(out, &r);
}

static bool
is_first(const struct remarks_source *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (s->comments[k].root == s->comments[i].root)
			return false;
	return true;
}

void
remarks_pick(const struct remarks_source *s, bool trust, struct remarks *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < s->review_count; i++)
		pick_review(s, &s->reviews[i], trust, out);
	for (size_t i = 0; i < s->comment_count; i++)
		if (is_first(s, i) && !holds(s->resolved, s->resolved_count, s->comments[i].root))
			pick_thread(s, i, trust, out);
}

void
remarks_clear(struct remarks *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->list[i].path);
		free(r->list[i].text);
	}
	free(r->list);
	memset(r, 0, sizeof(*r));
}
