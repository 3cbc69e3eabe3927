/* github_read: see github_read.h. */
#include "director/github_read.h"

#include "common/json.h"

#include <string.h>

static const char *
text(const json_t *j, const char *key)
{
	const char *s = json_str(j, key);

	return s == NULL ? "" : s;
}

static uint64_t
number(const json_t *j, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(j, key));

	return n > 0 ? (uint64_t)n : 0;
}

static bool
yes(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

void
github_read_user(const json_t *j, struct github_user *u)
{
	size_t n;

	u->login = text(j, "login");
	u->id = number(j, "id");
	n = strlen(u->login);
	u->bot = strcmp(text(j, "type"), "Bot") == 0 || (n > 5 && strcmp(u->login + n - 5, "[bot]") == 0);
}

bool
github_read_issue(const json_t *j, struct github_issue *i)
{
	memset(i, 0, sizeof(*i));
	i->number = number(j, "number");
	i->title = text(j, "title");
	i->body = text(j, "body");
	i->state = text(j, "state");
	i->url = text(j, "html_url");
	i->association = text(j, "author_association");
	i->comments = number(j, "comments");
	i->is_pull = json_is_object(json_object_get(j, "pull_request"));
	github_read_user(json_object_get(j, "user"), &i->author);
	return i->number > 0 && json_str(j, "title") != NULL;
}

bool
github_read_comment(const json_t *j, struct github_comment *c)
{
	memset(c, 0, sizeof(*c));
	c->id = number(j, "id");
	c->body = text(j, "body");
	c->url = text(j, "html_url");
	c->created_at = text(j, "created_at");
	c->association = text(j, "author_association");
	github_read_user(json_object_get(j, "user"), &c->author);
	return c->id > 0;
}

bool
github_read_ref(const json_t *j, struct github_ref_info *r)
{
	r->name = text(j, "ref");
	r->oid = text(json_object_get(j, "object"), "sha");
	return r->name[0] != '\0' && r->oid[0] != '\0';
}

bool
github_read_pull(const json_t *j, struct github_pull *p)
{
	const json_t *head = json_object_get(j, "head"), *base = json_object_get(j, "base");
	const json_t *mergeable = json_object_get(j, "mergeable");

	memset(p, 0, sizeof(*p));
	p->number = number(j, "number");
	p->state = text(j, "state");
	p->title = text(j, "title");
	p->body = text(j, "body");
	p->url = text(j, "html_url");
	p->head_ref = text(head, "ref");
	p->head_oid = text(head, "sha");
	p->head_repo = text(json_object_get(head, "repo"), "full_name");
	p->base_ref = text(base, "ref");
	p->base_oid = text(base, "sha");
	p->merged = yes(j, "merged") || json_is_string(json_object_get(j, "merged_at"));
	p->draft = yes(j, "draft");
	p->mergeable = json_is_boolean(mergeable) ? json_is_true(mergeable) : -1;
	p->mergeable_state = text(j, "mergeable_state");
	github_read_user(json_object_get(j, "user"), &p->author);
	return p->number > 0 && p->head_ref[0] != '\0' && p->base_ref[0] != '\0';
}

bool
github_read_review(const json_t *j, struct github_review *r)
{
	memset(r, 0, sizeof(*r));
	r->id = number(j, "id");
	r->state = text(j, "state");
	r->body = text(j, "body");
	r->oid = text(j, "commit_id");
	r->submitted_at = text(j, "submitted_at");
	r->association = text(j, "author_association");
	r->url = text(j, "html_url");
	github_read_user(json_object_get(j, "user"), &r->author);
	return r->id > 0 && r->state[0] != '\0';
}

bool
github_read_review_comment(const json_t *j, struct github_review_comment *c)
{
	memset(c, 0, sizeof(*c));
	c->id = number(j, "id");
	c->review = number(j, "pull_request_review_id");
	c->reply_to = number(j, "in_reply_to_id");
	c->path = text(j, "path");
	c->body = text(j, "body");
	c->oid = text(j, "commit_id");
	c->url = text(j, "html_url");
	c->created_at = text(j, "created_at");
	c->line = number(j, "line");
	c->association = text(j, "author_association");
	github_read_user(json_object_get(j, "user"), &c->author);
	return c->id > 0;
}

bool
github_is_insider(const char *association)
{
	static const char *const words[] = {"OWNER", "MEMBER", "COLLABORATOR"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(association, words[i]) == 0)
			return true;
	return false;
}

bool
github_read_repository(const json_t *j, struct github_repository *r)
{
	const json_t *permissions = json_object_get(j, "permissions");

	memset(r, 0, sizeof(*r));
	r->full_name = text(j, "full_name");
	r->default_branch = text(j, "default_branch");
	r->url = text(j, "html_url");
	r->clone_url = text(j, "clone_url");
	r->archived = yes(j, "archived");
	r->disabled = yes(j, "disabled");
	r->private = yes(j, "private");
	r->has_issues = yes(j, "has_issues");
	r->says_permissions = json_is_object(permissions);
	r->may_push = yes(permissions, "push") || yes(permissions, "admin") || yes(permissions, "maintain");
	return r->full_name[0] != '\0' && r->default_branch[0] != '\0';
}

const char *
github_read_permission(const json_t *j)
{
	static const char *const levels[] = {"admin", "write", "read", "none"};
	const char *said = text(j, "permission");

	if (strcmp(said, "maintain") == 0)
		return "write";
	if (strcmp(said, "triage") == 0)
		return "read";
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(said, levels[i]) == 0)
			return levels[i];
	return "none";
}
