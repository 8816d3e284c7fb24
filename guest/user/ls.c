/* ls: the ramdisk's files and their sizes in bytes. */
#include "user.h"

int main(void)
{
    struct file_info file;
    for (u64 i = 0; list(i, &file) == 0; i++)
        printf("%7lu %s\n", file.size, file.name);
    return 0;
}
