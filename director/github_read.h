/* github_read: JSON of GitHub's API as structs of github_api.h. Pure; strings are borrowed. False: it is not
 * that. */
#ifndef ORCH_DIRECTOR_GITHUB_READ_H
#define ORCH_DIRECTOR_GITHUB_READ_H

#include "director/github_api.h"

void github_read_user(const json_t *j, struct github_user *u);
bool github_read_issue(const json_t *j, struct github_issue *i);
bool github_read_comment(const json_t *j, struct github_comment *c);
bool github_read_ref(const json_t *j, struct github_ref_info *r);
bool github_read_pull(const json_t *j, struct github_pull *p);
bool github_read_review(const json_t *j, struct github_review *r);
bool github_read_review_comment(const json_t *j, struct github_review_comment *c);
bool github_read_repository(const json_t *j, struct github_repository *r);
/* "write" of {"permission":"write","role_name":"maintain"}: admin, write, read or none. */
const char *github_read_permission(const json_t *j);

#endif
