/* copylist: see copylist.h. */
#include "supervisor/ctl/copylist.h"

#include "common/alloc.h"
#include "common/conf_check.h"
#include "common/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDE_FILE ".worktreeinclude"
#define INCLUDE_MAX (16 * 1024)

json_t *
copylist_parse(const char *text)
{
	json_t *list = json_array();

	for (size_t n; *text != '\0'; text += n + (text[n] == '\n')) {
		size_t len = n = strcspn(text, "\n");

		while (len > 0 && (text[len - 1] == '\r' ||
				      (text[len - 1] == ' ' && (len < 2 || text[len - 2] != '\\'))))
			len--;
		if (len == 0 || text[0] == '#')
			continue;
		if (json_array_append_new(list, json_stringn(text, len)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int
copylist_add(struct conf *c, const char *top, struct err *e)
{
	char *path = xasprintf("%s/" INCLUDE_FILE, top), *text = NULL;
	json_t *all = NULL;
	int rc = fd_read_file(path, INCLUDE_MAX, &text, NULL);

	if (rc == -ENOENT) {
		free(path);
		return 0;
	}
	if (rc < 0)
		err_sys(e, rc, "cannot read %s", path);
	else if ((all = copylist_parse(text)) == NULL)
		rc = err_set(e, -EINVAL, INCLUDE_FILE " must be UTF-8 text");
	if (rc == 0) {
		json_array_extend(all, c->copy_list);
		rc = conf_check_lines(INCLUDE_FILE " and copy", all, e);
	}
	if (rc == 0) {
		json_decref(c->copy_list);
		c->copy_list = json_incref(all);
	}
	json_decref(all);
	free(text);
	free(path);
	return rc;
}
