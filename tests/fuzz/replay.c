/* replay: feeds every file of a corpus folder to a fuzz target, for compilers without libFuzzer and for CI. */
#include "common/fd.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char **argv)
{
	struct dirent *d;
	unsigned count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (dir == NULL) {
			perror(argv[i]);
			return 1;
		}
		while ((d = readdir(dir)) != NULL) {
			char path[4096], *data;
			size_t size;

			if (d->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], d->d_name);
			if (fd_read_file(path, 64 << 20, &data, &size) < 0) {
				perror(path);
				return 1;
			}
			LLVMFuzzerTestOneInput((const uint8_t *)data, size);
			free(data);
			count++;
		}
		closedir(dir);
	}
	if (count == 0) {
		fprintf(stderr, "no corpus file was found\n");
		return 1;
	}
	printf("%u inputs replayed\n", count);
	return 0;
}
