/* The start of dist/faas: see that the bundle behind this program is unpacked, then become its Python.
 *
 * Statically linked, so that it starts on any Linux and can say what is missing there. The process id, the signals and
 * the exit code are those of faas: this program is gone when faas runs. */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("faas: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static struct trailer read_trailer(int executable) {
    struct stat file;
    struct trailer trailer;
    if (fstat(executable, &file) || file.st_size < (off_t)sizeof trailer ||
        pread(executable, &trailer, sizeof trailer, file.st_size - sizeof trailer) != sizeof trailer ||
        strncmp(trailer.magic, TRAILER_MAGIC, sizeof trailer.magic) ||
        trailer.offset + trailer.length + sizeof trailer != (uint64_t)file.st_size)
        give_up("this file is not complete: copy the file again");
    return trailer;
}

void become_python(const char *bundle, const struct trailer *trailer, char **arguments) {
    size_t count = 0;
    while (arguments[count])
        count++;
    char *python, **command = calloc(count + 4, sizeof *command);
    if (!command || asprintf(&python, "%s/bin/faas", bundle) < 0)
        give_up("out of memory");
    memcpy(command, (char *[]){python, "-I", "-S"}, 3 * sizeof *command);
    memcpy(command + 3, arguments, count * sizeof *arguments);
    execv(python, command);
    if (errno == ENOENT && !access(python, F_OK))
        give_up("there is no glibc (/lib64/ld-linux-x86-64.so.2); faas needs glibc %.8s or newer", trailer->glibc);
    if (errno == EACCES)
        give_up("%s may not be executed (mounted noexec?); name another folder with FAAS_CACHE_DIR", bundle);
    give_up("%s: %s", python, strerror(errno));
}

int main(int count, char **arguments) {
    umask(022);
    int executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (executable < 0)
        give_up("cannot read /proc/self/exe: %s", strerror(errno));
    struct trailer trailer = read_trailer(executable);
    const char *bundle = open_bundle(executable, &trailer, find_cache());
    char **command = calloc(count + 2, sizeof *command);
    if (!command || asprintf(&command[0], "%s/start.py", bundle) < 0)
        give_up("out of memory");
    memcpy(command + 1, arguments, count * sizeof *arguments);
    become_python(bundle, &trailer, command);
}
