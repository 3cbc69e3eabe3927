/* token: see token.h. */
#include "common/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_BYTES 16

int
token_make(char token[TOKEN_SIZE])
{
	unsigned char bytes[RANDOM_BYTES];
	size_t n = strlen(TOKEN_PREFIX);

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return errno == 0 ? -EIO : -errno;
	memcpy(token, TOKEN_PREFIX, n);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + n + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

bool
token_valid(const char *s)
{
	size_t n = strlen(TOKEN_PREFIX);

	return strncmp(s, TOKEN_PREFIX, n) == 0 && strlen(s) == TOKEN_SIZE - 1 &&
	       strspn(s + n, "0123456789abcdef") == TOKEN_SIZE - 1 - n;
}
