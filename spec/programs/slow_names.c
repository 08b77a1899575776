/* A lookup of names with habits, to be preloaded into a child interpreter.
 *
 *   answers-*          127.0.0.1, at once
 *   list-A_B_...       the addresses A, B, ... in that order
 *   never-*            never
 *   gated-*            127.0.0.1, as soon as somebody has the FIFO $SLOW_NAMES_GATE open for writing
 *   fails-WORD-*       with EAI_NONAME (noname), EAI_AGAIN (again), EAI_FAIL (fail), EAI_MEMORY
 *                      (memory), EAI_SYSTEM and EMFILE (files)
 *
 * Others are asked of the system. Each lookup appends its name to the file $SLOW_NAMES_LOG as it
 * begins. Not here: the addresses' port, which is what the caller asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static lookup *system_lookup(void) {
    return (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
}

static void note(const char *name) {
    const char *path = getenv("SLOW_NAMES_LOG");
    char line[512];
    int length = snprintf(line, sizeof line, "%s\n", name);
    int log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    /* One write: the lines of several threads do not mix. */
    if (log < 0 || write(log, line, length) != length) abort();
    close(log);
}

/* The system's own answer for numeric addresses, chained: its freeaddrinfo frees node by node. */
static int list(const char *text, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    struct addrinfo numeric = *hints, **end = found;
    numeric.ai_flags |= AI_NUMERICHOST;
    *found = NULL;
    char *rest;
    for (char *one = strtok_r(copy, "_", &rest); one; one = strtok_r(NULL, "_", &rest)) {
        int status = system_lookup()(one, service, &numeric, end);
        if (status) return status;
        while (*end) end = &(*end)->ai_next;
    }
    return 0;
}

static int failure(const char *word) {
    if (!strncmp(word, "noname-", 7)) return EAI_NONAME;
    if (!strncmp(word, "again-", 6)) return EAI_AGAIN;
    if (!strncmp(word, "memory-", 7)) return EAI_MEMORY;
    if (!strncmp(word, "files-", 6)) {
        errno = EMFILE;
        return EAI_SYSTEM;
    }
    return EAI_FAIL;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    struct addrinfo any = {0};
    if (!hints) hints = &any;
    if (!name) return system_lookup()(name, service, hints, found);
    note(name);
    if (!strncmp(name, "never-", 6)) {
        for (;;) pause();
    }
    if (!strncmp(name, "gated-", 6)) {
        const char *path = getenv("SLOW_NAMES_GATE");
        int gate = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (gate < 0) abort();
        close(gate);
        return list("127.0.0.1", service, hints, found);
    }
    if (!strncmp(name, "answers-", 8)) return list("127.0.0.1", service, hints, found);
    if (!strncmp(name, "list-", 5)) return list(name + 5, service, hints, found);
    if (!strncmp(name, "fails-", 6)) return failure(name + 6);
    return system_lookup()(name, service, hints, found);
}
