/* The read-only file system: an archive that guest/build.py writes and ramdisk.S puts into the kernel.
   A count, that many entries (struct entry, in the order of their names), then the files' bytes. */
#include "kernel.h"

struct ramdisk {
    u32 magic, count;
    struct entry entries[];
};
enum { RAMDISK_MAGIC = 0x6b736964 }; /* "disk" */

extern const struct ramdisk ramdisk;

u32 ramdisk_count(void) { return ramdisk.magic == RAMDISK_MAGIC ? ramdisk.count : 0; }

const struct entry *ramdisk_at(u32 index) { return index < ramdisk_count() ? &ramdisk.entries[index] : NULL; }

const struct entry *ramdisk_find(const char *name)
{
    for (u32 i = 0; i < ramdisk_count(); i++)
        if (!strcmp(ramdisk.entries[i].name, name))
            return &ramdisk.entries[i];
    return NULL;
}

const u8 *ramdisk_data(const struct entry *entry) { return (const u8 *)&ramdisk + entry->offset; }
