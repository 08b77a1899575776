/* The limit of the benchmarks: what plain C does with epoll, recv and send, and with OpenSSL. The
 * same workloads under the same names as in contestants/; nothing here is general.
 *
 *     limit WORKLOAD CONNECTIONS COUNT BYTES CAFILE
 *
 * Prints one line, as worker.lua does. */

#include "bench.h"

enum { WARM_BYTES = 4 * 1024 * 1024, WARM_LINES = 20000 };

struct job {
    int connections, port;
    long count;
    size_t bytes;
    const char *ca;
};

struct conn {
    int fd;
    SSL *tls;
    long n;
    size_t at;
    char got[MESSAGE];
};

static double began, clock_then;
static struct epoll_event events[EVENTS];

static void start(void) {
    clock_then = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    began = seconds_of(CLOCK_MONOTONIC);
}

static void stop(double operations) {
    double took = seconds_of(CLOCK_MONOTONIC) - began;
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - clock_then;
    printf("operations=%.0f seconds=%.9f cpu=%.9f memory=%ld version=C_with_OpenSSL_%s\n",
           operations, took, cpu, number_of("VmHWM", "/proc/self/status"), OpenSSL_version(OPENSSL_VERSION_STRING));
}

static void expect(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "bench: limit: wrong contents: %s\n", what);
        exit(1);
    }
}

static int dial(const struct job *job) {
    struct sockaddr_in address = loopback(job->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd, "socket");
    check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    nodelay(fd);
    check(fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    return fd;
}

static int wait_events(int epoll) {
    int n = epoll_wait(epoll, events, EVENTS, -1);
    check(n, "epoll_wait");
    return n;
}

static ssize_t get(struct conn *conn, void *into, size_t size) {
    return receive_from(conn->fd, conn->tls, into, size);
}

static ssize_t put(struct conn *conn, const void *from, size_t size) {
    return send_to(conn->fd, conn->tls, from, size);
}

static SSL_CTX *client_context(const struct job *job) {
    SSL_CTX *context = tls_context(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    expect(SSL_CTX_load_verify_locations(context, job->ca, NULL) == 1, "cafile");
    return context;
}

static void shake(struct conn *conn, SSL_CTX *context, int epoll) {
    conn->tls = must(SSL_new(context));
    SSL_set_fd(conn->tls, conn->fd);
    SSL_set_connect_state(conn->tls);
    SSL_set1_host(conn->tls, "127.0.0.1");
    for (;;) {
        ssize_t result = tls_result(conn->tls, SSL_do_handshake(conn->tls));
        if (result == 1) {
            return;
        }
        expect(result < 0, "handshake");
        wait_events(epoll);
    }
}

/* Connects, with TLS if there is a context, and watches what comes. */
static void open_conn(const struct job *job, struct conn *conn, SSL_CTX *context, int epoll) {
    memset(conn, 0, sizeof *conn);
    conn->fd = dial(job);
    watch(epoll, EPOLL_CTL_ADD, conn->fd, EPOLLIN, conn);
    if (context) {
        shake(conn, context, epoll);
    }
}

static void dialogue(const struct job *job, SSL_CTX *context) {
    char *body = pattern(PERIOD);
    struct conn *all = must(calloc((size_t)job->connections, sizeof *all));
    int epoll = epoll_create1(0);
    long warm = 200 + 2 * job->connections, done = 0;
    for (int i = 0; i < job->connections; i++) {
        open_conn(job, &all[i], context, epoll);
    }
    for (int i = 0; i < job->connections; i++) {
        expect(put(&all[i], text_of(body, 0), MESSAGE) == MESSAGE, "first message");
    }
    while (done < job->count) {
        int n = wait_events(epoll);
        for (int i = 0; i < n && done < job->count; i++) {
            struct conn *conn = events[i].data.ptr;
            ssize_t size = get(conn, conn->got + conn->at, MESSAGE - conn->at);
            if (size < 0 && errno == EAGAIN) {
                continue;
            }
            expect(size > 0, "end of a dialogue");
            conn->at += (size_t)size;
            if (conn->at < MESSAGE) {
                continue;
            }
            expect(memcmp(conn->got, text_of(body, conn->n), MESSAGE) == 0, "echo");
            conn->at = 0;
            conn->n += 1;
            done += 1;
            if (done == warm) {
                start();
            }
            expect(put(conn, text_of(body, conn->n), MESSAGE) == MESSAGE, "message");
        }
    }
    stop((double)(job->count - warm));
}

static void dialogue_plain(const struct job *job) {
    dialogue(job, NULL);
}

static void dialogue_tls(const struct job *job) {
    dialogue(job, client_context(job));
}

static void download(const struct job *job, SSL_CTX *context) {
    char *body = pattern(PIECE), *piece = must(malloc(PIECE));
    struct conn conn;
    int epoll = epoll_create1(0), timing = 0;
    size_t at = 0, from = 0;
    open_conn(job, &conn, context, epoll);
    while (at < job->bytes) {
        ssize_t size = get(&conn, piece, PIECE);
        if (size < 0 && errno == EAGAIN) {
            wait_events(epoll);
            continue;
        }
        expect(size > 0, "end of a download");
        expect(memcmp(piece, body + at % PERIOD, (size_t)size) == 0 || timing, "download");
        at += (size_t)size;
        if (!timing && at >= WARM_BYTES) {
            timing = 1;
            from = at;
            start();
        }
    }
    stop((double)(at - from) / 1e6);
}

static void download_plain(const struct job *job) {
    download(job, NULL);
}

static void download_tls(const struct job *job) {
    download(job, client_context(job));
}

static void upload(const struct job *job) {
    char *body = pattern(BODY), answer;
    struct conn conn;
    int epoll = epoll_create1(0);
    size_t at = 0;
    open_conn(job, &conn, NULL, epoll);
    watch(epoll, EPOLL_CTL_MOD, conn.fd, EPOLLOUT, &conn);
    start();
    while (at < job->bytes) {
        size_t size = job->bytes - at < PIECE ? job->bytes - at : PIECE;
        ssize_t sent = put(&conn, body + at % PERIOD, size);
        if (sent < 0 && errno == EAGAIN) {
            wait_events(epoll);
            continue;
        }
        expect(sent > 0, "end of an upload");
        at += (size_t)sent;
    }
    watch(epoll, EPOLL_CTL_MOD, conn.fd, EPOLLIN, &conn);
    wait_events(epoll);
    expect(get(&conn, &answer, 1) == 1 && answer == 'k', "answer to an upload");
    stop((double)job->bytes / 1e6);
}

static void lines(const struct job *job) {
    char *body = lines_body(), *buffer = must(malloc(2 * PIECE));
    struct conn conn;
    int epoll = epoll_create1(0);
    long n = 0, lengths = 0;
    size_t held = 0;
    open_conn(job, &conn, NULL, epoll);
    while (n < job->count) {
        ssize_t size = get(&conn, buffer + held, PIECE);
        if (size < 0 && errno == EAGAIN) {
            wait_events(epoll);
            continue;
        }
        expect(size > 0, "end of lines");
        held += (size_t)size;
        char *at = buffer, *end;
        while ((end = memchr(at, '\n', held - (size_t)(at - buffer)))) {
            lengths += end - 1 - at;
            if (n < WARM_LINES) {
                expect(memcmp(at, body + n % LINES * LINE, LINE) == 0, "lines");
            }
            n += 1;
            if (n == WARM_LINES) {
                start();
            }
            at = end + 1;
        }
        held -= (size_t)(at - buffer);
        memmove(buffer, at, held);
    }
    stop((double)(n - WARM_LINES));
    expect(lengths == n * (LINE - 2), "lengths of lines");
}

static int listener_for(int *epoll, struct conn *conn) {
    int port;
    conn->fd = listen_on_loopback(&port);
    *epoll = epoll_create1(0);
    watch(*epoll, EPOLL_CTL_ADD, conn->fd, EPOLLIN, conn);
    printf("port %d\n", port);
    fflush(stdout);
    return conn->fd;
}

static void echo_server(const struct job *job) {
    static char buffer[PIECE];
    struct conn listener = { 0 };
    int epoll, fd = listener_for(&epoll, &listener), ended = 0;
    while (ended < job->connections) {
        int n = wait_events(epoll);
        for (int i = 0; i < n; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn == &listener) {
                struct conn *accepted = must(calloc(1, sizeof *accepted));
                accepted->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (accepted->fd < 0) {
                    free(accepted);
                    continue;
                }
                if (began == 0) {
                    start();
                }
                nodelay(accepted->fd);
                watch(epoll, EPOLL_CTL_ADD, accepted->fd, EPOLLIN, accepted);
                continue;
            }
            ssize_t size = get(conn, buffer, sizeof buffer);
            if (size > 0) {
                expect(put(conn, buffer, (size_t)size) == size, "echo");
            } else if (size == 0 || errno != EAGAIN) {
                close(conn->fd);
                free(conn);
                ended += 1;
            }
        }
    }
    stop((double)job->count);
}

static void accepts(const struct job *job) {
    struct conn listener = { 0 };
    int epoll, fd = listener_for(&epoll, &listener);
    long n = 0;
    while (n < job->count) {
        wait_events(epoll);
        int accepted;
        while (n < job->count
               && (accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            if (n == 0) {
                start();
            }
            close(accepted);
            n += 1;
        }
    }
    stop((double)n);
}

static void idle(const struct job *job) {
    int epoll = epoll_create1(0);
    long before = number_of("Anonymous", "/proc/self/smaps_rollup");
    for (int i = 0; i < job->connections; i++) {
        int fd = dial(job);
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    start();
    printf("idle=%.1f ",
           (double)(number_of("Anonymous", "/proc/self/smaps_rollup") - before) * 1024 / job->connections);
    stop(job->connections);
}

static void handshakes(const struct job *job) {
    SSL_CTX *context = client_context(job);
    int epoll = epoll_create1(0);
    start();
    for (long i = 0; i < job->count; i++) {
        struct conn conn;
        char answer;
        ssize_t size;
        open_conn(job, &conn, context, epoll);
        while ((size = get(&conn, &answer, 1)) < 0 && errno == EAGAIN) {
            wait_events(epoll);
        }
        expect(size == 1 && answer == 'k', "greeting");
        SSL_shutdown(conn.tls);
        SSL_free(conn.tls);
        close(conn.fd);
    }
    stop((double)job->count);
}

static const struct {
    const char *name;
    void (*run)(const struct job *);
} workloads[] = {
    { "dialogue", dialogue_plain }, { "download", download_plain },
    { "upload", upload },           { "lines", lines },
    { "echo_server", echo_server }, { "accept", accepts },
    { "idle", idle },               { "tls_download", download_tls },
    { "tls_dialogue", dialogue_tls }, { "tls_handshake", handshakes },
};

int main(int argc, char **argv) {
    const char *port = getenv("BENCH_PORT");
    if (argc != 6 || !port) {
        fprintf(stderr, "usage: limit WORKLOAD CONNECTIONS COUNT BYTES CAFILE, run by peer\n");
        return 2;
    }
    struct job job = {
        .connections = atoi(argv[2]),
        .port = atoi(port),
        .count = atol(argv[3]),
        .bytes = strtoull(argv[4], NULL, 10),
        .ca = argv[5],
    };
    all_descriptors();
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (strcmp(workloads[i].name, argv[1]) == 0) {
            workloads[i].run(&job);
            return 0;
        }
    }
    fprintf(stderr, "limit: no workload '%s'\n", argv[1]);
    return 2;
}
