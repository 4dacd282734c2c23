/* A full disk for one directory of one process, without any right to mount one: preloaded, it refuses whatever would make
 * files below FULL_DISK_DIRECTORY take more room than FULL_DISK_ROOM bytes in all (0 when not set), with the error that a
 * file system gives. Where FULL_DISK_WHILE names a file, only while that is there. What is written over what is already
 * there fits, as on a real disk. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long used;

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = (__typeof__(&name)) dlsym(RTLD_NEXT, #name)

static int is_below(const char *path)
{
    const char *directory = getenv("FULL_DISK_DIRECTORY");
    return directory && strncmp(path, directory, strlen(directory)) == 0;
}

static int in_force(void)
{
    const char *condition = getenv("FULL_DISK_WHILE");
    return !condition || access(condition, F_OK) == 0;
}

static long room(void)
{
    const char *text = getenv("FULL_DISK_ROOM");
    return (text ? atol(text) : 0) - __atomic_load_n(&used, __ATOMIC_RELAXED);
}

/* How many of the bytes there is room for; all of them where it does not matter. */
static ssize_t fitting(int fd, off_t from, size_t bytes)
{
    int saved = errno;
    ssize_t fits = (ssize_t) bytes;
    char link[64], path[PATH_MAX];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        if (is_below(path) && in_force() && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
            off_t growth = from + (off_t) bytes - status.st_size;
            if (growth > 0) {
                long left = room();
                if (growth > left) fits -= growth - (left > 0 ? left : 0);
                if (fits < 0) fits = 0;
                __atomic_fetch_add(&used, growth < left ? growth : (left > 0 ? left : 0), __ATOMIC_RELAXED);
            }
        }
    }
    errno = saved;
    return fits;
}

static off_t place(int fd)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_APPEND) && fstat(fd, &status) == 0) return status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static size_t total(const struct iovec *pieces, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += pieces[i].iov_len;
    return bytes;
}

#define FULL do { errno = ENOSPC; return -1; } while (0)

ssize_t write(int fd, const void *data, size_t bytes)
{
    NEXT(write);
    ssize_t fits = fd > 2 ? fitting(fd, place(fd), bytes) : (ssize_t) bytes;
    if (fits == 0 && bytes > 0) FULL;
    return next(fd, data, (size_t) fits);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t from)
{
    NEXT(pwrite);
    ssize_t fits = fitting(fd, from, bytes);
    if (fits == 0 && bytes > 0) FULL;
    return next(fd, data, (size_t) fits, from);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t from) { return pwrite(fd, data, bytes, from); }

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    NEXT(writev);
    size_t bytes = total(pieces, count);
    if (fd > 2 && fitting(fd, place(fd), bytes) < (ssize_t) bytes) FULL;
    return next(fd, pieces, count);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t from)
{
    NEXT(pwritev);
    size_t bytes = total(pieces, count);
    if (fitting(fd, from, bytes) < (ssize_t) bytes) FULL;
    return next(fd, pieces, count, from);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t from) { return pwritev(fd, pieces, count, from); }

int posix_fallocate(int fd, off_t from, off_t bytes)
{
    NEXT(posix_fallocate);
    if (fitting(fd, from, (size_t) bytes) < bytes) return ENOSPC;
    return next(fd, from, bytes);
}

int posix_fallocate64(int fd, off64_t from, off64_t bytes) { return posix_fallocate(fd, from, bytes); }

static int no_room_for_another(const char *path, int flags)
{
    int saved = errno;
    char whole[2 * PATH_MAX];
    if (path[0] != '/' && getcwd(whole, PATH_MAX)) {
        strcat(whole, "/");
        strncat(whole, path, PATH_MAX - 1);
        path = whole;
    }
    int none = (flags & O_CREAT) && is_below(path) && in_force() && room() <= 0 && access(path, F_OK) != 0;
    errno = saved;
    return none;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (no_room_for_another(path, flags)) FULL; \
        return next(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int directory, const char *path, int flags, ...) \
    { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (no_room_for_another(path, flags)) FULL; \
        return next(directory, path, flags, mode); \
    }

OPENAT(openat)
OPENAT(openat64)

FILE *fopen(const char *path, const char *how)
{
    NEXT(fopen);
    if (how[0] != 'r' && no_room_for_another(path, O_CREAT)) { errno = ENOSPC; return NULL; }
    return next(path, how);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    if (no_room_for_another(path, O_CREAT)) FULL;
    return next(path, mode);
}
