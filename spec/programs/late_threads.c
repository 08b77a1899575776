/* For LD_PRELOAD: outside of the first thread every read takes 30 ms longer, so that whoever does
 * not wait for a thread that reads is gone before it. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

ssize_t read(int fd, void *buffer, size_t count) {
    if (syscall(SYS_gettid) != getpid()) {
        struct timespec left = { 0, 30 * 1000000 };
        nanosleep(&left, NULL);
    }
    return syscall(SYS_read, fd, buffer, count);
}
