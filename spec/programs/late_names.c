/* For LD_PRELOAD: a resolver to which names that begin with "slow" are unknown, which it says after
 * three seconds, or after as many milliseconds as follow ("slow200"). Names that begin with "quick"
 * are 127.0.0.1. All others go their way. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (node && !strncmp(node, "quick", 5)) node = "127.0.0.1";
    if (node && !strncmp(node, "slow", 4)) {
        long millis = atol(node + 4) > 0 ? atol(node + 4) : 3000;
        struct timespec left = { millis / 1000, millis % 1000 * 1000000 };
        nanosleep(&left, NULL);
        return EAI_NONAME;
    }
    return real(node, service, hints, found);
}
