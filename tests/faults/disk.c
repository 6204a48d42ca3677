/* Preloaded into a server, this stands between it and the disk.
 *
 * It writes down, in one file and in the order in which it happened, what was written to files under
 * DISK_OF, when that was synced, and when an HTTP answer was about to be sent. And it fails what DISK_FAULT
 * names: while that file is there and holds "write ENOSPC", "sync EIO" or "sync stall".
 *
 * A record: kind, errno, length of the path, length of the data, offset, then path and data.
 *   'w' was written, 't' was truncated to offset, 'u' was unlinked, 'b' begin of a sync, 's' synced,
 *   'a' an answer is sent (the data is how it begins).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_open)(const char *, int, ...);

static const char *directory, *fault_file;
static int journal = -1;

struct record {
    uint8_t kind;
    uint8_t error;
    uint16_t path_length;
    uint32_t data_length;
    uint64_t offset;
};

__attribute__((constructor)) static void prepare(void)
{
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_send = dlsym(RTLD_NEXT, "send");
    real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_open = dlsym(RTLD_NEXT, "open64");
    directory = getenv("DISK_OF");
    fault_file = getenv("DISK_FAULT");
    const char *path = getenv("DISK_JOURNAL");
    if (path)
        journal = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(uint8_t kind, int error, const char *path, uint64_t offset, const void *data, size_t length)
{
    if (journal < 0)
        return;
    int before = errno;
    struct record head = {kind, (uint8_t)error, (uint16_t)strlen(path), (uint32_t)length, offset};
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)path, head.path_length}, {(void *)data, length}};
    if (real_writev(journal, parts, 3) < 0)
        abort(); /* a journal with a gap would prove nothing */
    errno = before;
}

static int is_ours(const char *path)
{
    return directory && strncmp(path, directory, strlen(directory)) == 0;
}

/* The path of a file that is watched, or 0. */
static int watched(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_ours(path);
}

/* What goes wrong with this kind of call now: 0, an errno, or -1 for a call that takes its time. */
static int fault(const char *kind)
{
    int before = errno, found = 0;
    char text[64] = {0};
    int file = fault_file ? real_open(fault_file, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0 && strncmp(text, kind, strlen(kind)) == 0) {
            const char *what = text + strlen(kind) + 1;
            found = strncmp(what, "ENOSPC", 6) == 0 ? ENOSPC
                  : strncmp(what, "EROFS", 5) == 0  ? EROFS
                  : strncmp(what, "EIO", 3) == 0    ? EIO
                  : strncmp(what, "stall", 5) == 0  ? -1
                                                    : 0;
        }
        close(file);
    }
    errno = before;
    return found;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset)
{
    char path[PATH_MAX];
    if (!watched(fd, path))
        return real_pwrite(fd, data, length, offset);
    int error = fault("write");
    if (error > 0) {
        note('w', error, path, (uint64_t)offset, "", 0);
        errno = error;
        return -1;
    }
    ssize_t written = real_pwrite(fd, data, length, offset);
    if (written > 0)
        note('w', 0, path, (uint64_t)offset, data, (size_t)written);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    return pwrite64(fd, data, length, offset);
}

static int synced(int fd, int (*sync)(int))
{
    char path[PATH_MAX];
    if (!watched(fd, path))
        return sync(fd);
    note('b', 0, path, 0, "", 0);
    while (fault("sync") == -1)
        usleep(10000);
    int error = fault("sync");
    int result = error > 0 ? -1 : sync(fd);
    if (error > 0)
        errno = error;
    note('s', result == 0 ? 0 : errno, path, 0, "", 0);
    return result;
}

int fsync(int fd)
{
    return synced(fd, real_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, real_fdatasync);
}

int ftruncate64(int fd, off_t length)
{
    char path[PATH_MAX];
    int result = real_ftruncate(fd, length);
    if (result == 0 && watched(fd, path))
        note('t', 0, path, (uint64_t)length, "", 0);
    return result;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int unlink(const char *path)
{
    int result = real_unlink(path);
    if (result == 0 && is_ours(path))
        note('u', 0, path, 0, "", 0);
    return result;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (flags & (O_WRONLY | O_RDWR) && is_ours(path) && fault("write") == EROFS) {
        errno = EROFS;
        return -1;
    }
    return real_open(path, flags, mode);
}

static int is_answer(int fd, const void *data, size_t length)
{
    struct stat about;
    return length >= 9 && memcmp(data, "HTTP/1.1 ", 9) == 0 && fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

static void note_answer(int fd, const void *data, size_t length)
{
    if (is_answer(fd, data, length))
        note('a', 0, "", 0, data, length < 12 ? length : 12);
}

ssize_t write(int fd, const void *data, size_t length)
{
    note_answer(fd, data, length);
    return real_write(fd, data, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (count > 0)
        note_answer(fd, parts[0].iov_base, parts[0].iov_len);
    return real_writev(fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
    note_answer(fd, data, length);
    return real_send(fd, data, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (message->msg_iovlen > 0)
        note_answer(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return real_sendmsg(fd, message, flags);
}
