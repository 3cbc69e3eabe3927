/* ops: see ops.h. */
#include "tests/chaos/power/ops.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "orch-power-1\n"
#define FIELD_MAX (256u << 20)

static const char *const names[] = {
#define O(NAME, name) name,
    OP_KINDS(O)
#undef O
};

void
ops_init(struct ops *o, const char *root)
{
	memset(o, 0, sizeof(*o));
	o->root = xstrdup(root);
}

void
ops_clear(struct ops *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].path);
		free(o->v[i].to);
		free(o->v[i].data);
	}
	free(o->v);
	free(o->root);
	memset(o, 0, sizeof(*o));
}

struct op *
ops_add(struct ops *o, enum op_kind kind, uint32_t file, const char *path, const char *to)
{
	struct op *op;

	if (o->n == o->room) {
		o->room = o->room == 0 ? 1024 : o->room * 2;
		o->v = xrealloc(o->v, o->room * sizeof(*o->v));
	}
	op = &o->v[o->n++];
	*op = (struct op){
	    .kind = kind, .file = file, .path = xstrdup(path), .to = xstrdup(to), .when_ms = clock_wall_ms()};
	if (file > o->files)
		o->files = file;
	return op;
}

void
ops_set_data(struct op *op, const void *data, size_t size)
{
	free(op->data);
	op->data = xmalloc(size + 1);
	memcpy(op->data, data, size);
	op->size = size;
}

int
op_is_metadata(const struct op *op)
{
	return op->kind < OP_WRITE || op->kind == OP_TRUNCATE;
}

/* The name that a file was made with. */
static const char *
made_as(const struct ops *o, uint32_t file)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->v[i].kind == OP_CREATE && o->v[i].file == file)
			return o->v[i].path;
	return "?";
}

void
op_print(FILE *f, const struct ops *o, size_t i)
{
	const struct op *op = &o->v[i];

	fprintf(f, "%zu %s", i, names[op->kind]);
	if (op->path != NULL)
		fprintf(f, " %s", op->path);
	else if (op->file != 0)
		fprintf(f, " %s", made_as(o, op->file));
	if (op->to != NULL)
		fprintf(f, " -> %s", op->to);
	if (op->kind == OP_WRITE || op->kind == OP_TRUNCATE)
		fprintf(f, " %" PRIu64 "+%zu", op->at, op->size);
	fputc('\n', f);
}

/* A field is its length + 1, or 0 for none, and its bytes. */
static void
put_field(FILE *f, const char *text, size_t size)
{
	uint64_t n = text == NULL ? 0 : size + 1;

	fwrite(&n, sizeof(n), 1, f);
	if (text != NULL)
		fwrite(text, 1, size, f);
}

static void
put_string(FILE *f, const char *text)
{
	put_field(f, text, text == NULL ? 0 : strlen(text));
}

int
ops_save(const struct ops *o, const char *path)
{
	FILE *f = fopen(path, "we");
	uint64_t head[2] = {o->n, o->start};
	int rc;

	if (f == NULL)
		return -errno;
	fputs(MAGIC, f);
	put_string(f, o->root);
	fwrite(head, sizeof(head), 1, f);
	for (size_t i = 0; i < o->n; i++) {
		const struct op *op = &o->v[i];
		uint64_t fixed[5] = {op->kind, op->file, op->mode, op->at, (uint64_t)op->when_ms};

		fwrite(fixed, sizeof(fixed), 1, f);
		put_string(f, op->path);
		put_string(f, op->to);
		put_field(f, op->data, op->size);
	}
	rc = ferror(f) ? -EIO : 0;
	return fclose(f) == 0 ? rc : -EIO;
}

/* NULL, with *bad set when the file does not go on like that. */
static char *
get_field(FILE *f, size_t *size, int *bad)
{
	uint64_t n = 0;
	char *text;

	if (*bad || fread(&n, sizeof(n), 1, f) != 1 || n > FIELD_MAX) {
		*bad = 1;
		return NULL;
	}
	if (n == 0)
		return NULL;
	text = xmalloc(n);
	if (fread(text, 1, n - 1, f) != n - 1)
		*bad = 1;
	text[n - 1] = '\0';
	*size = n - 1;
	return text;
}

int
ops_load(struct ops *o, const char *path)
{
	FILE *f = fopen(path, "re");
	char magic[sizeof(MAGIC)] = "", *root;
	uint64_t head[2] = {0, 0}, fixed[5];
	int bad = 0;
	size_t size;

	if (f == NULL)
		return -errno;
	bad = fread(magic, sizeof(MAGIC) - 1, 1, f) != 1 || strcmp(magic, MAGIC) != 0;
	root = get_field(f, &size, &bad);
	bad = bad || root == NULL || fread(head, sizeof(head), 1, f) != 1;
	ops_init(o, root);
	free(root);
	o->start = head[1];
	for (uint64_t i = 0; !bad && i < head[0]; i++) {
		struct op *op;

		bad = fread(fixed, sizeof(fixed), 1, f) != 1 || fixed[0] >= OP_COUNT;
		if (bad)
			break;
		op = ops_add(o, (enum op_kind)fixed[0], (uint32_t)fixed[1], NULL, NULL);
		op->mode = (uint32_t)fixed[2];
		op->at = fixed[3];
		op->when_ms = (int64_t)fixed[4];
		op->path = get_field(f, &size, &bad);
		op->to = get_field(f, &size, &bad);
		op->data = get_field(f, &op->size, &bad);
	}
	fclose(f);
	if (bad)
		ops_clear(o);
	return bad ? -EINVAL : 0;
}
