/* tmp: a test's own folder, and the count of what it may have leaked. Faults abort: a test cannot go on. */
#ifndef ORCH_TESTS_TMP_H
#define ORCH_TESTS_TMP_H

/* A fresh folder under $TMPDIR or /tmp, without symbolic links in its path. tmp_remove takes it away with all
 * in it. */
char *tmp_make(void);
void tmp_remove(char *dir);

/* dir/name, in fresh memory. */
char *tmp_path(const char *dir, const char *name);
/* Writes dir/name, making the folders between them. mode 0644; an executable when text begins with "#!". */
void tmp_write(const char *dir, const char *name, const char *text);
void tmp_mkdir(const char *dir, const char *name);

/* How many fds this process has open. */
int tmp_open_fds(void);

#endif
