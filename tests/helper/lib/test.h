/* test: cmocka with what it needs included before it, for every test. */
#ifndef ORCH_TESTS_TEST_H
#define ORCH_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after those four */
#include <cmocka.h>

#endif
