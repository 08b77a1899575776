/* A plain echo server for measurements: one thread, epoll, nothing of ours in it. Prints its port;
 * ends when its standard input does, or after two minutes. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void watch(int poll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

int main(void) {
    int one = 1, poll = epoll_create1(0), door = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    static char bytes[65536];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    alarm(120);
    if (bind(door, (void *)&address, sizeof address) || listen(door, 4096)) return 1;
    getsockname(door, (void *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(poll, door);
    watch(poll, 0);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == door) {
                int client = accept(door, 0, 0);
                if (client < 0) continue;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                watch(poll, client);
                continue;
            }
            ssize_t got = read(fd, bytes, sizeof bytes);
            if (fd == 0 && got <= 0) return 0;
            if (got <= 0 || write(fd, bytes, (size_t)got) != got) close(fd);
        }
    }
}
