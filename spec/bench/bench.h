/* What the peer and the limit share: the contents that travel, clocks, memory, TLS contexts.
 *
 * Bodies have the same bytes on both sides: `pattern` repeats every 65,536 bytes and is made by a
 * congruential generator that worker.lua computes as well; a body of lines repeats every LINES.
 * Everything here ends the program with a sentence when the system refuses: a benchmark has nobody
 * to hand an error to. */

#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PERIOD = 65536,         /* bytes after which the pattern repeats */
    BODY = 2 * 1024 * 1024, /* what lies in memory of it, so that a send can be long */
    MESSAGE = 64,           /* bytes of a message of the ping-pongs */
    TEXTS = 16,             /* different messages */
    LINE = 60,              /* bytes of a line with its CR LF */
    LINES = 100000,         /* different lines */
    PIECE = 65536,          /* what is read or written at a time */
    EVENTS = 256,
};

static void die(const char *what) {
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *must(void *memory) {
    if (!memory) {
        die("memory");
    }
    return memory;
}

static inline void check(int result, const char *what) {
    if (result < 0) {
        die(what);
    }
}

/* `size` bytes of the pattern, and one period more so that any offset has `size` bytes after it. */
static inline char *pattern(size_t size) {
    char *body = must(malloc(size + PERIOD));
    unsigned state = 1;
    for (size_t i = 0; i < PERIOD; i++) {
        state = state * 75 % 65537;
        body[i] = (char)(state & 255);
    }
    for (size_t i = PERIOD; i < size + PERIOD; i++) {
        body[i] = body[i - PERIOD];
    }
    return body;
}

/* LINES lines: four digits, fifty letters, four digits, CR LF. With BENCH_DIFFERENT only so many
 * differ. LuaJIT hashes the ends of a string: there they must differ, or all fall together. */
static inline char *lines_body(void) {
    char *body = must(malloc((size_t)LINES * LINE + 1));
    char letters[51];
    for (int i = 0; i < 50; i++) {
        letters[i] = (char)('a' + i % 26);
    }
    letters[50] = 0;
    const char *wanted = getenv("BENCH_DIFFERENT");
    int different = wanted ? atoi(wanted) : LINES;
    for (int i = 0; i < LINES; i++) {
        int number = i % different;
        snprintf(body + (size_t)i * LINE, LINE + 1, "%04d%s%04d\r\n", number % 10000, letters,
                 number / 10000);
    }
    return body;
}

/* The nth message of a dialogue. */
static inline const char *text_of(const char *body, long n) {
    return body + n % TEXTS * MESSAGE;
}

static inline double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void pin(int cpu) {
    cpu_set_t set;
    if (cpu >= 0) {
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        check(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
    }
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline void nodelay(int fd) {
    int on = 1;
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

static inline int listen_on_loopback(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    check(fd, "socket");
    check(bind(fd, (struct sockaddr *)&address, size), "bind");
    check(listen(fd, 1024), "listen");
    check(getsockname(fd, (struct sockaddr *)&address, &size), "getsockname");
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void watch(int epoll, int verb, int fd, uint32_t events, void *owner) {
    struct epoll_event event = { .events = events, .data.ptr = owner };
    check(epoll_ctl(epoll, verb, fd, &event), "epoll_ctl");
}

static inline void all_descriptors(void) {
    struct rlimit limit;
    check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

/* A number of a file in /proc/self, in KiB. */
static inline long number_of(const char *name, const char *path) {
    FILE *file = must(fopen(path, "r"));
    char text[256];
    long value = 0;
    while (fgets(text, sizeof text, file)) {
        if (strncmp(text, name, strlen(name)) == 0) {
            value = atol(text + strlen(name) + 1);
        }
    }
    fclose(file);
    return value;
}

/* TLS 1.3 with one cipher, so that all spend their time on the same work. */
static inline SSL_CTX *tls_context(const SSL_METHOD *method) {
    SSL_CTX *context = must(SSL_CTX_new(method));
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

/* The result of a TLS call as that of a system call: -1 with EAGAIN, or 0 at the end. */
static inline ssize_t tls_result(SSL *tls, int result) {
    if (result > 0) {
        return result;
    }
    switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    default:
        ERR_clear_error();
        return 0;
    }
}

/* The two transfers, over TLS where there is one. */
static inline ssize_t receive_from(int fd, SSL *tls, void *into, size_t size) {
    return tls ? tls_result(tls, SSL_read(tls, into, (int)size)) : recv(fd, into, size, 0);
}

static inline ssize_t send_to(int fd, SSL *tls, const void *from, size_t size) {
    return tls ? tls_result(tls, SSL_write(tls, from, (int)size))
               : send(fd, from, size, MSG_NOSIGNAL);
}

#endif
