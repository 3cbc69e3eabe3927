/* markdown: what people and agents write stays text. */
#include "common/markdown.h"

#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

#define Z "\xe2\x80\x8b"

static void
expect(void (*fn)(FILE *, const char *, size_t), const char *text, const char *want)
{
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	assert_non_null(f);
	fn(f, text, 200);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(got, want);
	free(got);
}

static void
test_text(void **state)
{
	(void)state;
	expect(markdown_text, NULL, "");
	expect(markdown_text, "Build a calculator, 2.0", "Build a calculator, 2.0");
	expect(markdown_text, "a|b\n</details><img src=x>", "a\\|b \\</details\\>\\<img src=x\\>");
	expect(markdown_text, "thanks @ada and @org/team", "thanks @" Z "ada and @" Z "org/team");
	expect(markdown_text, "closes #25, gh-7, a/b#3", "closes \\#" Z "25, gh-" Z "7, a/b\\#" Z "3");
	expect(markdown_text, "https://evil.example www.evil.example",
	    "https:" Z "//evil.example www." Z "evil.example");
	expect(markdown_text, "[x](y) `z` *b* &lt; $x$", "\\[x\\]\\(y\\) \\`z\\` \\*b\\* \\&lt; \\$x\\$");
	expect(markdown_text, "co-author", "co-author");
	expect(markdown_text, "a\033[31mb", "a b");
}

static void
test_code(void **state)
{
	(void)state;
	expect(markdown_code, "cco/25-x", "`cco/25-x`");
	expect(markdown_code, "a`b``c", "```a`b``c```");
	expect(markdown_code, "`a", "`` `a ``");
	expect(markdown_code, "a|b @ada", "`a\\|b @ada`");
	expect(markdown_code, "", "`  `");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
