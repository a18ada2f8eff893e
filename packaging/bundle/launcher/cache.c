/* Where bundles are unpacked. Code is run from there, so no other user may be able to write it, or to put another folder
 * in its place: it and every folder above it belong to us or to root and are writable by no other user. */
#include "launcher.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Make `path` and what is missing above it: for us alone, but for root readable by all, as root's Postgres and
 * compilers run as other users. */
static bool make_folders(const char *path) {
    mode_t mode = geteuid() ? 0700 : 0755;
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, mode) && errno != EEXIST && access(copy, F_OK))
            return false;
        *slash = '/';
    }
    return !mkdir(copy, mode) || errno == EEXIST;
}

/* Whether `path`, without links in it, can be changed by us and root alone; `why` not. */
bool trusted(const char *path, const char **why) {
    char folder[PATH_MAX];
    struct stat found;
    snprintf(folder, sizeof folder, "%s", path);
    for (bool above = false;; above = true) {
        if (lstat(folder, &found)) {
            *why = strerror(errno);
            return false;
        }
        if (!S_ISDIR(found.st_mode)) {
            *why = "not a folder";
            return false;
        }
        bool open_to_others = found.st_mode & (S_IWGRP | S_IWOTH) && !(above && found.st_mode & S_ISVTX);
        if ((found.st_uid && found.st_uid != geteuid()) || open_to_others) {
            static char text[PATH_MAX + 64];
            snprintf(text, sizeof text, "%s can be written by other users", folder);
            *why = text;
            return false;
        }
        char *slash = strrchr(folder, '/');
        if (!slash || !folder[1])
            return true;
        slash[slash == folder] = '\0'; /* the last one is "/" itself */
    }
}

static const char *usable(const char *path, const char **why) {
    if (path[0] != '/') {
        *why = "not an absolute path";
        return NULL;
    }
    if (!make_folders(path)) {
        *why = strerror(errno);
        return NULL;
    }
    const char *real = realpath(path, NULL);
    if (!real) {
        *why = strerror(errno);
        return NULL;
    }
    return trusted(real, why) ? real : NULL;
}

static const char *below(const char *folder, const char *name) {
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        give_up("out of memory");
    return path;
}

/* FAAS_CACHE_DIR and no other; else the first that can be used of the system's place for caches and two for the homeless. */
const char *find_cache(void) {
    const char *chosen = getenv("FAAS_CACHE_DIR"), *why = "", *found;
    if (chosen && *chosen) {
        if (!(found = usable(chosen, &why)))
            give_up("FAAS_CACHE_DIR=%s: %s", chosen, why);
        return found;
    }
    const char *candidates[4] = {0};
    int count = 0;
    char name[32];
    snprintf(name, sizeof name, "faas-%u", (unsigned)geteuid());
    if (!geteuid()) {
        candidates[count++] = "/var/cache/faas";
    } else {
        const char *caches = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        struct passwd *user = home && *home ? NULL : getpwuid(geteuid());
        if (caches && *caches)
            candidates[count++] = below(caches, "faas");
        else if (user || (home && *home))
            candidates[count++] = below(user ? user->pw_dir : home, ".cache/faas");
    }
    candidates[count++] = below("/var/tmp", name);
    candidates[count++] = below("/tmp", name);
    for (int index = 0; index < count; index++)
        if ((found = usable(candidates[index], &why)))
            return found;
    give_up("no folder to unpack into, the last tried was %s (%s): name one with FAAS_CACHE_DIR", candidates[count - 1], why);
}
