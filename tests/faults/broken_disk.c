/* A disk that fails on command, for LD_PRELOAD. While the file that TRIGGERFISH_FAULTS names exists, calls fail as it
 * says, a line each: "write ENOSPC state.sqlite3" (or EIO) or "sync EIO log.sqlite3": the last word is part of the path
 * of the file that is written. A write that fails has written the half before, as on a disk that fills up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* The error for this kind of call on this file, or 0. Only system calls: the functions below would call themselves. */
static int fault(const char *kind, int fd) {
    static const char *control;
    if (!control && !(control = getenv("TRIGGERFISH_FAULTS"))) return 0;
    int said = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (said < 0) return 0;
    char text[2048], link[64], path[1024];
    ssize_t size = syscall(SYS_read, said, text, sizeof text - 1);
    syscall(SYS_close, said);
    if (size <= 0) return 0;
    text[size] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    for (char *rest, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char of[16], name[16], part[256];
        if (sscanf(line, "%15s %15s %255s", of, name, part) == 3 && !strcmp(of, kind) && strstr(path, part))
            return strcmp(name, "ENOSPC") ? EIO : ENOSPC;
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t half(int fd, const void *bytes, size_t size, off64_t at) {
    return size < 1024 ? 0 : syscall(SYS_pwrite64, fd, bytes, size / 2, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    int error = fault("write", fd);
    if (!error) return REAL(pwrite64)(fd, bytes, size, at);
    half(fd, bytes, size, at);
    errno = error;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

ssize_t write(int fd, const void *bytes, size_t size) {
    int error = fault("write", fd);
    if (!error) return syscall(SYS_write, fd, bytes, size);
    errno = error;
    return -1;
}

int ftruncate64(int fd, off64_t size) {
    int error = fault("write", fd);
    if (!error) return REAL(ftruncate64)(fd, size);
    errno = error;
    return -1;
}

int fsync(int fd) {
    int error = fault("sync", fd);
    if (!error) return syscall(SYS_fsync, fd);
    errno = error;
    return -1;
}

int fdatasync(int fd) {
    int error = fault("sync", fd);
    if (!error) return syscall(SYS_fdatasync, fd);
    errno = error;
    return -1;
}
