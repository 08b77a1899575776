/* The neutral peer of the benchmarks, and what runs a contestant: it listens, starts the contestant
 * pinned to a core, serves it (or, for a contestant that serves, is its client), passes its output
 * on and ends with it. What arrives is compared byte for byte.
 *
 *     peer ROLE OWN_CPU ITS_CPU CONNECTIONS COUNT BYTES CERT KEY COMMAND...
 *
 * A CPU of -1 is any; CERT and KEY of "-" mean plain TCP. The contestant finds our port in
 * BENCH_PORT; one that serves prints "port N" first. Roles: see `roles` below. */

#include "bench.h"

enum { DEADLINE = 30, WINDOW = 64 };

struct peer;
struct conn {
    int fd;
    SSL *tls;
    int shaken;      /* the TLS handshake is over */
    size_t at;       /* bytes sent or received of the body */
    long n;          /* messages of a dialogue */
    char *left;      /* what an echo could not send at once */
    size_t left_size;
};

struct role {
    const char *name;
    int is_client;
    uint32_t events;
    /* Both return 0 when the connection is over. */
    int (*readable)(struct peer *, struct conn *);
    int (*writable)(struct peer *, struct conn *);
};

struct peer {
    const struct role *role;
    int epoll, listener, output;
    int connections;
    long count, asked, done, opened;
    size_t bytes, period;
    char *body, *buffer;
    SSL_CTX *context;
    int port;
    char line[512];
    size_t line_size;
};

static pid_t contestant;

static void wrong(const char *what) {
    fprintf(stderr, "bench: the peer got wrong contents: %s\n", what);
    kill(contestant, SIGKILL);
    exit(1);
}

static void on_alarm(int signal) {
    (void)signal;
    static const char text[] = "bench: the contestant did not end in time\n";
    kill(contestant, SIGKILL);
    if (write(2, text, sizeof text - 1) < 0) {
        _exit(2);
    }
    _exit(1);
}

static ssize_t conn_read(struct conn *conn, void *into, size_t size) {
    return receive_from(conn->fd, conn->tls, into, size);
}

static ssize_t conn_write(struct conn *conn, const void *from, size_t size) {
    return send_to(conn->fd, conn->tls, from, size);
}

static int again(ssize_t result) {
    return result < 0 && errno == EAGAIN;
}

/* Sends back what comes. A peer that does not read its echo is not served before it does. */
static int echo_writable(struct peer *peer, struct conn *conn) {
    ssize_t sent = conn_write(conn, conn->left, conn->left_size);
    if (sent <= 0) {
        return again(sent);
    }
    conn->left_size -= (size_t)sent;
    memmove(conn->left, conn->left + sent, conn->left_size);
    if (conn->left_size == 0) {
        watch(peer->epoll, EPOLL_CTL_MOD, conn->fd, EPOLLIN, conn);
    }
    return 1;
}

static int echo_readable(struct peer *peer, struct conn *conn) {
    if (conn->left_size > 0) {
        return 1;
    }
    ssize_t size = conn_read(conn, peer->buffer, PIECE);
    if (size <= 0) {
        return again(size);
    }
    ssize_t sent = conn_write(conn, peer->buffer, (size_t)size);
    if (sent == size) {
        return 1;
    }
    if (sent <= 0 && !again(sent)) {
        return 0;
    }
    sent = sent < 0 ? 0 : sent;
    conn->left = conn->left ? conn->left : must(malloc(PIECE));
    conn->left_size = (size_t)(size - sent);
    memcpy(conn->left, peer->buffer + sent, conn->left_size);
    watch(peer->epoll, EPOLL_CTL_MOD, conn->fd, EPOLLOUT, conn);
    return 1;
}

/* Sends `bytes` of the body, then closes. */
static int send_writable(struct peer *peer, struct conn *conn) {
    size_t from = conn->at % peer->period;
    size_t size = (peer->period == PERIOD ? BODY : peer->period - from);
    if (size > peer->bytes - conn->at) {
        size = peer->bytes - conn->at;
    }
    ssize_t sent = conn_write(conn, peer->body + from, size);
    if (sent <= 0) {
        return again(sent);
    }
    conn->at += (size_t)sent;
    return conn->at < peer->bytes;
}

/* Takes `bytes` of the body, compares each, then says so with one byte. */
static int sink_readable(struct peer *peer, struct conn *conn) {
    ssize_t size = conn_read(conn, peer->buffer, BODY);
    if (size <= 0) {
        return again(size);
    }
    if (memcmp(peer->buffer, peer->body + conn->at % PERIOD, (size_t)size) != 0) {
        wrong("upload");
    }
    conn->at += (size_t)size;
    if (conn->at > peer->bytes) {
        wrong("upload is too long");
    }
    if (conn->at == peer->bytes && conn_write(conn, "k", 1) != 1) {
        die("answer to an upload");
    }
    return 1;
}

/* Only waits for the end. */
static int hold_readable(struct peer *peer, struct conn *conn) {
    ssize_t size = conn_read(conn, peer->buffer, PIECE);
    return again(size);
}

/* Greets with one byte, then waits for the end. */
static int greet_writable(struct peer *peer, struct conn *conn) {
    if (conn_write(conn, "k", 1) != 1) {
        return 0;
    }
    watch(peer->epoll, EPOLL_CTL_MOD, conn->fd, EPOLLIN, conn);
    return 1;
}

/* A web server of one tiny page, which leaves closing to the client. */
static int page_readable(struct peer *peer, struct conn *conn) {
    static const char end[] = "\r\n\r\n";
    ssize_t size = conn_read(conn, peer->buffer, PIECE);
    if (size <= 0) {
        return again(size);
    }
    for (ssize_t i = 0; i < size; i++) {
        conn->at = peer->buffer[i] == end[conn->at] ? conn->at + 1 : peer->buffer[i] == '\r';
        if (conn->at == sizeof end - 1) {
            char answer[256];
            int length = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                                  "Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n",
                                  MESSAGE);
            memcpy(answer + length, text_of(peer->body, 0), MESSAGE);
            conn->at = 0;
            if (conn_write(conn, answer, (size_t)length + MESSAGE) != length + MESSAGE) {
                die("a page");
            }
        }
    }
    return 1;
}

/* Asks, compares the answer, asks again. */
static int ask(struct peer *peer, struct conn *conn) {
    peer->asked += 1;
    return conn_write(conn, text_of(peer->body, conn->n), MESSAGE) == MESSAGE;
}

static int ask_readable(struct peer *peer, struct conn *conn) {
    ssize_t size = conn_read(conn, peer->buffer, MESSAGE - conn->at);
    if (size <= 0) {
        return again(size);
    }
    const char *expected = text_of(peer->body, conn->n) + conn->at;
    if (memcmp(peer->buffer, expected, (size_t)size) != 0) {
        wrong("echo");
    }
    conn->at += (size_t)size;
    if (conn->at < MESSAGE) {
        return 1;
    }
    conn->at = 0;
    conn->n += 1;
    peer->done += 1;
    return peer->asked < peer->count ? ask(peer, conn) : 0;
}

static int ask_writable(struct peer *peer, struct conn *conn) {
    watch(peer->epoll, EPOLL_CTL_MOD, conn->fd, EPOLLIN, conn);
    return ask(peer, conn);
}

/* Connects, waits until the server has closed in good order, then another one. */
static int knock_readable(struct peer *peer, struct conn *conn) {
    char byte;
    ssize_t size = recv(conn->fd, &byte, 1, 0);
    if (size > 0) {
        wrong("a byte from a server that only accepts");
    }
    if (again(size)) {
        return 1;
    }
    if (size < 0) {
        die("a connection to the contestant");
    }
    peer->done += 1;
    return 0;
}

static const struct role roles[] = {
    { "echo", 0, EPOLLIN, echo_readable, echo_writable },
    { "send", 0, EPOLLOUT, hold_readable, send_writable },
    { "lines", 0, EPOLLOUT, hold_readable, send_writable },
    { "letters", 0, EPOLLOUT, hold_readable, send_writable },
    { "page", 0, EPOLLIN, page_readable, NULL },
    { "sink", 0, EPOLLIN, sink_readable, NULL },
    { "hold", 0, EPOLLIN, hold_readable, NULL },
    { "greet", 0, EPOLLOUT, hold_readable, greet_writable },
    { "ask", 1, EPOLLOUT, ask_readable, ask_writable },
    { "knock", 1, EPOLLIN, knock_readable, NULL },
};

static void open_conn(struct peer *peer, int fd) {
    struct conn *conn = must(calloc(1, sizeof *conn));
    conn->fd = fd;
    nodelay(fd);
    if (peer->context) {
        conn->tls = must(SSL_new(peer->context));
        SSL_set_fd(conn->tls, fd);
        SSL_set_accept_state(conn->tls);
    }
    conn->shaken = !conn->tls;
    watch(peer->epoll, EPOLL_CTL_ADD, fd, conn->tls ? EPOLLIN : peer->role->events, conn);
}

static void dial(struct peer *peer) {
    struct sockaddr_in address = loopback(peer->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(fd, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        die("connect to the contestant");
    }
    peer->opened += 1;
    open_conn(peer, fd);
}

static void close_conn(struct peer *peer, struct conn *conn) {
    if (conn->tls) {
        SSL_shutdown(conn->tls);
        SSL_free(conn->tls);
        ERR_clear_error();
    }
    close(conn->fd);
    free(conn->left);
    free(conn);
    if (peer->role->readable == knock_readable && peer->opened < peer->count) {
        dial(peer);
    }
}

static int serve_conn(struct peer *peer, struct conn *conn, uint32_t events) {
    if (!conn->shaken) {
        ssize_t result = tls_result(conn->tls, SSL_do_handshake(conn->tls));
        if (result <= 0) {
            return again(result);
        }
        conn->shaken = 1;
        watch(peer->epoll, EPOLL_CTL_MOD, conn->fd, peer->role->events, conn);
        return 1;
    }
    if (events & EPOLLOUT) {
        return peer->role->writable(peer, conn);
    }
    return peer->role->readable(peer, conn);
}

static void accept_all(struct peer *peer) {
    int fd;
    while ((fd = accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        open_conn(peer, fd);
    }
}

static void begin_as_client(struct peer *peer) {
    int first = peer->role->readable == knock_readable ? WINDOW : peer->connections;
    for (int i = 0; i < first; i++) {
        dial(peer);
    }
}

/* Passes on what the contestant prints; false at its end. */
static int pass_output(struct peer *peer) {
    char *end;
    ssize_t size = read(peer->output, peer->line + peer->line_size,
                        sizeof peer->line - 1 - peer->line_size);
    if (size <= 0) {
        return 0;
    }
    peer->line_size += (size_t)size;
    peer->line[peer->line_size] = 0;
    while ((end = strchr(peer->line, '\n'))) {
        *end = 0;
        if (strncmp(peer->line, "port ", 5) == 0 && peer->role->is_client) {
            peer->port = atoi(peer->line + 5);
            begin_as_client(peer);
        } else {
            puts(peer->line);
        }
        peer->line_size -= (size_t)(end + 1 - peer->line);
        memmove(peer->line, end + 1, peer->line_size + 1);
    }
    return 1;
}

static void start(struct peer *peer, int cpu, char **command) {
    int pipes[2];
    char port[16];
    check(pipe2(pipes, O_CLOEXEC), "pipe");
    snprintf(port, sizeof port, "%d", peer->port);
    contestant = fork();
    check(contestant, "fork");
    if (contestant == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(cpu);
        dup2(pipes[1], 1);
        setenv("BENCH_PORT", port, 1);
        execvp(command[0], command);
        die(command[0]);
    }
    close(pipes[1]);
    peer->output = pipes[0];
}

static void run(struct peer *peer) {
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(peer->epoll, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) {
            die("epoll_wait");
        }
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &peer->listener) {
                accept_all(peer);
            } else if (events[i].data.ptr == &peer->output) {
                if (!pass_output(peer)) {
                    return;
                }
            } else if (!serve_conn(peer, events[i].data.ptr, events[i].events)) {
                close_conn(peer, events[i].data.ptr);
            }
        }
    }
}

static double seconds_used(const struct rusage *usage) {
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec)
           + (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    struct peer peer = { 0 };
    struct rusage own, its;
    int status;
    if (argc < 10) {
        fprintf(stderr, "usage: peer ROLE OWN_CPU ITS_CPU CONNECTIONS COUNT BYTES CERT KEY "
                        "COMMAND...\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (strcmp(roles[i].name, argv[1]) == 0) {
            peer.role = &roles[i];
        }
    }
    if (!peer.role) {
        fprintf(stderr, "bench: no role '%s'\n", argv[1]);
        return 2;
    }
    all_descriptors();
    peer.connections = atoi(argv[4]);
    peer.count = atol(argv[5]);
    peer.bytes = strtoull(argv[6], NULL, 10);
    peer.listener = listen_on_loopback(&peer.port);
    peer.epoll = epoll_create1(EPOLL_CLOEXEC);
    start(&peer, atoi(argv[3]), argv + 9);
    pin(atoi(argv[2]));
    /* Not before the contestant has begun: what is ignored is inherited. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(DEADLINE);
    if (strcmp(argv[7], "-") != 0) {
        peer.context = tls_context(TLS_server_method());
        /* Each handshake is a whole one. */
        SSL_CTX_set_num_tickets(peer.context, 0);
        SSL_CTX_set_session_cache_mode(peer.context, SSL_SESS_CACHE_OFF);
        if (SSL_CTX_use_certificate_chain_file(peer.context, argv[7]) != 1
            || SSL_CTX_use_PrivateKey_file(peer.context, argv[8], SSL_FILETYPE_PEM) != 1) {
            wrong("certificate");
        }
    }
    peer.buffer = must(malloc(BODY));
    peer.period = strcmp(argv[1], "lines") == 0 ? (size_t)LINES * LINE : PERIOD;
    peer.body = peer.period == PERIOD ? pattern(BODY) : lines_body();
    if (strcmp(argv[1], "letters") == 0) {
        /* No line ends in it. */
        memset(peer.body, 'x', BODY + PERIOD);
    }
    watch(peer.epoll, EPOLL_CTL_ADD, peer.output, EPOLLIN, &peer.output);
    watch(peer.epoll, EPOLL_CTL_ADD, peer.listener, EPOLLIN, &peer.listener);
    run(&peer);
    check(waitpid(contestant, &status, 0), "waitpid");
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &its);
    printf("used=%.3f\n", seconds_used(&own) + seconds_used(&its));
    /* A contestant that lacks the workload never told a port. */
    if (peer.role->is_client && peer.opened > 0 && peer.done < peer.count) {
        fprintf(stderr, "bench: the contestant served %ld of %ld\n", peer.done, peer.count);
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
