/* sibling: see sibling.h. The relative places come from the build (GNUInstallDirs). */
#include "common/sibling.h"

#include "common/alloc.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of this executable; right also while an upgrade has just unlinked it ("... (deleted)"). */
static int
own_folder(char *buf, size_t size, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	if (n < 0)
		return err_sys(e, -errno, "cannot read /proc/self/exe");
	buf[n] = '\0';
	slash = strrchr(buf, '/');
	if (slash == NULL)
		return err_set(e, -ENOENT, "/proc/self/exe has no folder: %s", buf);
	*(slash == buf ? slash + 1 : slash) = '\0';
	return 0;
}

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int
sibling_path(const char *program, char **path_out, struct err *e)
{
	static const char *const places[] = {".", ORCH_LIBEXEC_REL, ORCH_BIN_REL};
	char folder[PATH_MAX];
	int rc = own_folder(folder, sizeof(folder), e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *path = xasprintf("%s/%s/%s", folder, places[i], program);
		char *real = is_program(path) ? realpath(path, NULL) : NULL;

		free(path);
		if (real != NULL) {
			*path_out = real;
			return 0;
		}
	}
	return err_set(e, -ENOENT,
	    "%s is missing: looked in %s and in %s and %s from there; install orch again", program, folder,
	    places[1], places[2]);
}
