/* e2e_api: see e2e_api.h. */
#include "tests/helper/lib/e2e_api.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void
e2e_api_start(struct e2e_api *api, struct e2e *e)
{
	char *scripts, *log, line[256] = "";
	const char *argv[] = {ORCH_BIN_DIR "/orch-test-fakeapi", NULL, "--log", NULL, NULL};
	struct child_spec spec;
	struct err err = {""};
	int in[2], out[2];
	size_t n = 0;

	memset(api, 0, sizeof(*api));
	api->dir = xasprintf("%s/api", e->tmp);
	scripts = xasprintf("%s/scripts", api->dir);
	log = xasprintf("%s/log", api->dir);
	assert_int_equal(fd_mkdirs(scripts, 0700), 0);
	assert_int_equal(fd_pipe(in, false), 0);
	assert_int_equal(fd_pipe(out, false), 0);
	argv[1] = scripts;
	argv[3] = log;
	child_spec_init(&spec);
	spec.argv = argv;
	spec.fd_in = in[0];
	spec.fd_out = out[1];
	spec.fd_err = 2;
	assert_int_equal(child_spawn(&spec, &api->pid, NULL, &err), 0);
	fd_close(&in[0]);
	fd_close(&out[1]);
	api->in = in[1];
	while (n < sizeof(line) - 1 && read(out[0], line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	fd_close(&out[0]);
	assert_true(n > 0);
	api->url = xasprintf("http://127.0.0.1:%s", line);
	free(scripts);
	free(log);
}

void
e2e_api_stop(struct e2e_api *api)
{
	if (api->pid <= 0)
		return;
	fd_close(&api->in);
	kill(api->pid, SIGTERM);
	waitpid(api->pid, NULL, 0);
	fd_remove_tree(api->dir);
	free(api->dir);
	free(api->url);
	memset(api, 0, sizeof(*api));
}

void
e2e_api_script(struct e2e_api *api, const char *name, const char *text)
{
	char *path = xasprintf("%s/scripts/%s", api->dir, name);

	assert_int_equal(fd_write_file(path, text, strlen(text), 0600), 0);
	free(path);
}

json_t *
e2e_api_requests(struct e2e_api *api, const char *script)
{
	char *path = xasprintf("%s/log", api->dir), *text = NULL, *rest, *line;
	json_t *list = json_array();

	if (fd_read_file(path, 64 << 20, &text, NULL) < 0)
		text = xstrdup("");
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		json_t *j = json_loads(line, 0, NULL);
		const char *name = json_str(j, "script");

		if (j != NULL && (script == NULL || (name != NULL && strcmp(name, script) == 0)))
			json_array_append(list, j);
		json_decref(j);
	}
	free(text);
	free(path);
	return list;
}
