/* cat [FILES...]: copy the files, or what is typed or piped in, to the output. */
#include "user.h"

static void copy(int fd)
{
    char buffer[256];
    i64 count;
    while ((count = read(fd, buffer, sizeof buffer)) > 0)
        write(1, buffer, (u64)count);
}

int main(int argc, char *argv[])
{
    if (argc < 2)
        copy(0);
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i]);
        if (fd < 0) {
            printf("cat: no file %s\n", argv[i]);
            return 1;
        }
        copy(fd);
        close(fd);
    }
    return 0;
}
