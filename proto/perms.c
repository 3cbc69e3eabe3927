/* perms: the permission table, one row per message, straight from the schema. */
#include "proto/perms.h"

#include <string.h>

static const struct perm {
	unsigned id;
	unsigned from, to; /* enum proto_who bits */
} perms[] = {
#define M(id, NAME, name, from, to) {id, from, to},
    MESSAGE_LIST(M)
#undef M
};

static const struct who {
	enum proto_who who;
	const char *name;
} names[] = {
    {WHO_ORCHD, "orchd"},
    {WHO_DIRECTOR, "director"},
    {WHO_EM, "em"},
    {WHO_WORKER, "worker"},
    {WHO_GATEWAY, "gateway"},
    {WHO_CTL, "orchctl"},
};

bool
perms_allowed(unsigned id, enum proto_who from, enum proto_who to)
{
	for (size_t i = 0; i < sizeof(perms) / sizeof(perms[0]); i++)
		if (perms[i].id == id)
			return (perms[i].from & from) != 0 && (perms[i].to & to) != 0;
	return false;
}

const char *
perms_who_name(enum proto_who who)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].who == who)
			return names[i].name;
	return "nobody";
}

enum proto_who
perms_who_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].who;
	return 0;
}
