/* Keeps what a program has synced, and nothing else, as a disk does whose power fails: started with this
   before its libraries, each fsync of a file copies its content to `content-<inode>`, and each fsync of a
   directory lists its entries in `entries-<inode>`, in the directory PLACE. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void name(char *path, size_t size, const char *what, ino_t inode, const char *end) {
    snprintf(path, size, PLACE "/%s-%lu%s", what, (unsigned long)inode, end);
}

/* Under a name of its own until it is whole: the power may fail meanwhile. */
static FILE *begin(const char *what, ino_t inode) {
    char path[4096], end[32];
    snprintf(end, sizeof end, ".%d", getpid());
    name(path, sizeof path, what, inode, end);
    return fopen(path, "w");
}

static void finish(FILE *to, const char *what, ino_t inode) {
    char whole[4096], path[4096], end[32];
    if (!to)
        return;
    fclose(to);
    snprintf(end, sizeof end, ".%d", getpid());
    name(whole, sizeof whole, what, inode, end);
    name(path, sizeof path, what, inode, "");
    rename(whole, path);
}

static void keep_content(const char *path, ino_t inode) {
    char part[4096];
    size_t length;
    FILE *from = fopen(path, "r"), *to = begin("content", inode);
    while (from && to && (length = fread(part, 1, sizeof part, from)))
        fwrite(part, 1, length, to);
    if (from)
        fclose(from);
    finish(to, "content", inode);
}

static void keep_entries(const char *path, ino_t inode) {
    DIR *from = opendir(path);
    FILE *to = begin("entries", inode);
    struct dirent *entry;
    while (from && to && (entry = readdir(from)))
        if (entry->d_name[0] != '.' || (entry->d_name[1] && entry->d_name[1] != '.'))
            fprintf(to, "%lu %c %s\n", (unsigned long)entry->d_ino, entry->d_type == DT_DIR ? 'd' : 'f',
                    entry->d_name);
    if (from)
        closedir(from);
    finish(to, "entries", inode);
}

int fsync(int descriptor) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    char path[64];
    struct stat status;
    int outcome = next(descriptor);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    if (!outcome && !fstat(descriptor, &status)) {
        if (S_ISDIR(status.st_mode))
            keep_entries(path, status.st_ino);
        else
            keep_content(path, status.st_ino);
    }
    return outcome;
}
