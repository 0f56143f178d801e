/* A network that changes beneath a program that is started with this before its libraries: once the file
   `silence` is in the directory TEST_SILENCE, nothing that is sent to the connections of that moment
   arrives any more, not even that somebody is there. The file `silent` says that it is so, and the file
   `refused` that this user may not do that. The times after which the kernel asks and gives up are a tenth
   of what the program sets. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 4096

static void path_of(const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", getenv("TEST_SILENCE"), name);
}

/* Whether it is no connection, or silent now. */
static int silence(int descriptor) {
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog filter = {1, nothing};
    int domain = 0, type = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) || domain != AF_INET)
        return 1;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) || type != SOCK_STREAM)
        return 1;
    return !setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

static void *wait_for_silence(void *unused) {
    char path[4096];
    int is_silent = 1;
    path_of("silence", path, sizeof path);
    while (access(path, F_OK))
        usleep(5000);
    for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++)
        is_silent &= silence(descriptor);
    path_of(is_silent ? "silent" : "refused", path, sizeof path);
    FILE *said = fopen(path, "w");
    if (said)
        fclose(said);
    return unused;
}

__attribute__((constructor)) static void start(void) {
    pthread_t waiting;
    if (getenv("TEST_SILENCE"))
        pthread_create(&waiting, NULL, wait_for_silence, NULL);
}

int setsockopt(int descriptor, int level, int name, const void *value, socklen_t length) {
    int (*next)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    int is_time = name == TCP_KEEPIDLE || name == TCP_KEEPINTVL || name == TCP_USER_TIMEOUT;
    if (level != IPPROTO_TCP || !is_time || length != sizeof(int))
        return next(descriptor, level, name, value, length);
    int tenth = *(const int *)value / 10;
    if (tenth == 0)
        tenth = 1;
    return next(descriptor, level, name, &tenth, sizeof tenth);
}
