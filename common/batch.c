/* batch: see batch.h. */
#include "common/batch.h"

size_t
batch_next(const struct batch *b)
{
	if (b->red == 0)
		return b->left;
	return b->red == 1 ? 1 : b->red / 2;
}

bool
batch_tries_twice(const struct batch *b)
{
	return batch_next(b) == 1 && b->red != 1;
}

bool
batch_told(struct batch *b, size_t tried, bool green)
{
	if (!green) {
		b->red = tried;
		return tried == 1;
	}
	b->left -= tried;
	b->red = b->red > tried ? b->red - tried : 0;
	return false;
}
