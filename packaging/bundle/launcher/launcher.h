/* The pieces of the launcher; each file says what it does. */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the build appends to this program: the payload (a tar, by zstd), then this, little-endian (packaging/bundle/payload.py). */
struct trailer {
    uint64_t offset, length; /* the payload's place in the file, in bytes */
    char key[40];            /* version and digest of the payload: the name of its folder */
    char glibc[8];           /* the oldest glibc that the payload runs on */
    char magic[16];
};
#define TRAILER_MAGIC "faas-bundle-1"

/* One line on stderr, then the exit code of "the machine does not allow it". */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* launcher.c: run the bundle's Python with these arguments in place of this program; ends with one line if it cannot. */
_Noreturn void become_python(const char *bundle, const struct trailer *trailer, char **arguments);

/* cache.c: the folder that bundles are unpacked into. Made where missing. Ends the program when there is none. */
const char *find_cache(void);
/* cache.c: whether only we and root can change what `path` leads to (it has no links in it); else `why`. */
bool trusted(const char *path, const char **why);

/* unpack.c: NULL, or what went wrong; errno is set where the system refused something, else 0. */
const char *unpack(const void *payload, size_t length, int folder);

/* bundles.c: the folder of this file's bundle, unpacked and locked against removal for as long as this process lives. */
const char *open_bundle(int executable, const struct trailer *trailer, const char *cache);

#endif
