/* A network for a program that is started with this before its libraries. Names stand for the
   addresses that the file `names` lists, one answer a question, of which the last one is repeated;
   192.88.98.0/24, which is public and nobody's, is loopback; whatever else is not loopback refuses.
   The file `dialled` holds every address that a connection was tried to. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS 64
#define DESCRIPTORS 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char name[256]; int asked; } questions[ANSWERS];
static struct sockaddr_in peers[DESCRIPTORS];

static FILE *open_file(const char *name, const char *mode) {
    char path[4096];
    const char *directory = getenv("TEST_INTERNET");
    snprintf(path, sizeof path, "%s/%s", directory ? directory : "", name);
    return fopen(path, mode);
}

static int times_asked(const char *name) {
    for (int place = 0; place < ANSWERS; place++) {
        if (!questions[place].name[0])
            snprintf(questions[place].name, sizeof questions[place].name, "%s", name);
        if (!strcasecmp(questions[place].name, name))
            return questions[place].asked++;
    }
    return 0;
}

/* A line is a name and its answers, separated by blanks; an answer is addresses, separated by commas. */
static int answer_of(const char *name, char *answer, size_t size) {
    char line[1024];
    int found = 0;
    FILE *names = open_file("names", "r");
    if (!names)
        return 0;
    while (!found && fgets(line, sizeof line, names)) {
        char *rest, *word = strtok_r(line, " \n", &rest);
        if (!word || strcasecmp(word, name))
            continue;
        int number = times_asked(name);
        while ((word = strtok_r(NULL, " \n", &rest)) && number-- >= 0) {
            snprintf(answer, size, "%s", word);
            found = 1;
        }
    }
    fclose(names);
    return found;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo numeric, **end = result;
    char answer[1024], *rest;
    if (hints)
        numeric = *hints;
    else
        memset(&numeric, 0, sizeof numeric);
    numeric.ai_flags |= AI_NUMERICHOST;
    pthread_mutex_lock(&lock);
    int found = node && answer_of(node, answer, sizeof answer);
    pthread_mutex_unlock(&lock);
    if (!found)
        return next(node, service, node && !strcasecmp(node, "localhost") ? hints : &numeric, result);
    *result = NULL;
    for (char *word = strtok_r(answer, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        int failed = next(word, service, &numeric, end);
        if (failed)
            return failed;
        while (*end)
            end = &(*end)->ai_next;
    }
    return 0;
}

static void take_down(const char *form, const char *host, int port) {
    FILE *dialled = open_file("dialled", "a");
    if (!dialled)
        return;
    fprintf(dialled, form, host, port);
    fclose(dialled);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    char host[INET6_ADDRSTRLEN];
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        peers[descriptor].sin_family = 0;
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *given = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &given->sin6_addr, host, sizeof host);
        take_down("[%s]:%d\n", host, ntohs(given->sin6_port));
        if (IN6_IS_ADDR_LOOPBACK(&given->sin6_addr))
            return next(descriptor, address, length);
        errno = ECONNREFUSED;
        return -1;
    }
    if (address->sa_family != AF_INET)
        return next(descriptor, address, length);
    struct sockaddr_in given = *(const struct sockaddr_in *)address;
    inet_ntop(AF_INET, &given.sin_addr, host, sizeof host);
    take_down("%s:%d\n", host, ntohs(given.sin_port));
    if (ntohl(given.sin_addr.s_addr) >> 24 == 127)
        return next(descriptor, address, length);
    if (ntohl(given.sin_addr.s_addr) >> 8 != (192 << 16 | 88 << 8 | 98)) {
        errno = ECONNREFUSED;
        return -1;
    }
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        peers[descriptor] = given;
    given.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return next(descriptor, (struct sockaddr *)&given, sizeof given);
}

int getpeername(int descriptor, struct sockaddr *address, socklen_t *length) {
    int (*next)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "getpeername");
    int outcome = next(descriptor, address, length);
    if (!outcome && descriptor >= 0 && descriptor < DESCRIPTORS && peers[descriptor].sin_family == AF_INET)
        memcpy(address, &peers[descriptor], sizeof peers[descriptor]);
    return outcome;
}
