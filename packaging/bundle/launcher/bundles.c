/* The bundles in the cache folder: bundle-<key>, each unpacked once, atomically.
 *
 * The process that unpacks or removes holds `lock` in the cache folder. A bundle's own folder is locked (shared) by every process
 * that runs from it; one that no process runs from may be removed, which happens when another version is unpacked. All locks
 * are flock's: the kernel releases them when the process ends. */
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX "bundle-"
#define HALF_MADE ".unpacking-"

static void remove_tree(int parent, const char *name) {
    if (!unlinkat(parent, name, 0) || errno == ENOENT)
        return;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = folder < 0 ? NULL : fdopendir(folder);
    if (entries) {
        for (struct dirent *entry; (entry = readdir(entries));)
            if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
                remove_tree(folder, entry->d_name);
        closedir(entries);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* Remove incomplete bundles, and those that no process runs from. Called with the cache's lock. */
static void remove_unused(int cache) {
    int copy = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!strncmp(entry->d_name, HALF_MADE, strlen(HALF_MADE))) {
            remove_tree(cache, entry->d_name);
        } else if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX))) {
            int bundle = openat(cache, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (bundle >= 0 && !flock(bundle, LOCK_EX | LOCK_NB)) {
                char doomed[300];
                snprintf(doomed, sizeof doomed, HALF_MADE "%s", entry->d_name);
                if (!renameat(cache, entry->d_name, cache, doomed)) /* rename first, so that a starting process does not use it */
                    remove_tree(cache, doomed);
            }
            if (bundle >= 0)
                close(bundle);
        }
    }
    closedir(entries);
}

/* NULL if everything in `bundle` starts on this machine, or one line of what its loader or check.py says. */
static const char *try_out(const char *bundle, const struct trailer *trailer) {
    static char said[4096];
    char script[PATH_MAX];
    snprintf(script, sizeof script, "%s/check.py", bundle);
    int channel[2], status = -1;
    pid_t child;
    if (pipe2(channel, O_CLOEXEC) || (child = fork()) < 0)
        return strerror(errno);
    if (!child) {
        dup2(channel[1], 1);
        dup2(channel[1], 2);
        become_python(bundle, trailer, (char *[]){script, NULL});
    }
    close(channel[1]);
    for (ssize_t have = 0, got; (got = read(channel[0], said + have, sizeof said - 1 - have)) > 0;)
        said[have += got] = '\0';
    close(channel[0]);
    waitpid(child, &status, 0);
    if (!status)
        return NULL;
    for (size_t end = strlen(said); end && said[end - 1] == '\n';)
        said[--end] = '\0';
    const char *line = strrchr(said, '\n');
    line = line ? line + 1 : said;
    return strncmp(line, "faas: ", 6) ? line : line + 6;
}

/* Unpack beside, try, flush to disk, rename: a folder with the bundle's name is always complete. Called with the cache's lock. */
static void make_bundle(int executable, const struct trailer *trailer, const char *cache, int folder, const char *name) {
    char half_made[64], path[PATH_MAX];
    snprintf(half_made, sizeof half_made, HALF_MADE "%.40s", trailer->key);
    snprintf(path, sizeof path, "%s/%s", cache, half_made);
    fprintf(stderr, "faas: unpacking into %s/%s, once\n", cache, name);
    size_t length = trailer->offset + trailer->length;
    char *file = mmap(NULL, length, PROT_READ, MAP_PRIVATE, executable, 0);
    if (file == MAP_FAILED)
        give_up("cannot read this file: %s", strerror(errno));
    if (mkdirat(folder, half_made, geteuid() ? 0700 : 0755))
        give_up("cannot unpack into %s: %s", cache, strerror(errno));
    int bundle = openat(folder, half_made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    errno = 0;
    const char *failure = bundle < 0 ? strerror(errno) : unpack(file + trailer->offset, trailer->length, bundle);
    int reason = errno;
    if (failure) {
        remove_tree(folder, half_made);
        give_up("cannot unpack into %s: %s%s", cache, failure,
                reason == ENOSPC || reason == EDQUOT ? "; free space there, or name another folder with FAAS_CACHE_DIR" : "");
    }
    if ((failure = try_out(path, trailer))) {
        remove_tree(folder, half_made);
        give_up("this machine cannot run it: %s", failure);
    }
    if (syncfs(bundle) || renameat(folder, half_made, folder, name)) {
        reason = errno;
        remove_tree(folder, half_made);
        give_up("cannot unpack into %s: %s", cache, strerror(reason));
    }
    close(bundle);
    munmap(file, length);
}

/* Lock the bundle against removal, until this process ends: the descriptor survives execve. */
static bool enter(int cache, const char *name) {
    int bundle = openat(cache, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (bundle < 0)
        return false;
    struct stat locked, named;
    if (!flock(bundle, LOCK_SH) && !fstat(bundle, &locked) && !fstatat(cache, name, &named, AT_SYMLINK_NOFOLLOW) &&
        locked.st_ino == named.st_ino)
        return true;
    close(bundle); /* removed while we waited for its lock */
    return false;
}

const char *open_bundle(int executable, const struct trailer *trailer, const char *cache) {
    char name[64];
    char *bundle;
    const char *why;
    snprintf(name, sizeof name, PREFIX "%.40s", trailer->key);
    if (asprintf(&bundle, "%s/%s", cache, name) < 0)
        give_up("out of memory");
    int folder = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        give_up("cannot read %s: %s", cache, strerror(errno));
    if (!enter(folder, name)) {
        int lock = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0 || flock(lock, LOCK_EX))
            give_up("cannot unpack into %s: %s", cache, strerror(errno));
        if (!enter(folder, name)) { /* no other process was faster */
            remove_unused(folder);
            make_bundle(executable, trailer, cache, folder, name);
            if (!enter(folder, name))
                give_up("cannot read %s: %s", bundle, strerror(errno));
        }
        close(lock);
    }
    close(folder);
    if (!trusted(bundle, &why))
        give_up("%s: %s", bundle, why);
    return bundle;
}
