/*
 * orch-test-floor: the least that a process can do, for the benches to compare with. Without arguments it
 * writes one byte to stdout and ends; "echo" sends back whatever comes on stdin until there is no more. libc
 * only.
 */
#include <string.h>
#include <unistd.h>

static int
echo(void)
{
	static char buf[256 * 1024];

	for (;;) {
		ssize_t n = read(0, buf, sizeof(buf)), done = 0;

		if (n <= 0)
			return n < 0;
		while (done < n) {
			ssize_t put = write(0, buf + done, (size_t)(n - done));

			if (put < 0)
				return 1;
			done += put;
		}
	}
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return strcmp(argv[1], "echo") == 0 ? echo() : 2;
	return write(1, "+", 1) != 1;
}
