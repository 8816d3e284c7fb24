/* Open files: the console, a file of the ramdisk, one end of a pipe. Descriptors point to them. */
#include "kernel.h"

static struct file files[FILE_MAX];

struct file *file_create(enum file_kind kind)
{
    for (int i = 0; i < FILE_MAX; i++)
        if (files[i].references == 0) {
            files[i] = (struct file){.references = 1, .kind = kind};
            return &files[i];
        }
    return NULL;
}

void file_close(struct file *file)
{
    if (--file->references > 0)
        return;
    if (file->kind == FILE_PIPE_READ || file->kind == FILE_PIPE_WRITE)
        pipe_close(file);
}

static i64 ramdisk_read(struct file *file, u64 buffer, u64 length)
{
    u64 left = file->entry->size - file->offset;
    if (length > left)
        length = left;
    if (!copy_out(buffer, ramdisk_data(file->entry) + file->offset, length))
        return -1;
    file->offset += length;
    return (i64)length;
}

i64 file_read(struct file *file, u64 buffer, u64 length)
{
    switch (file->kind) {
    case FILE_CONSOLE:
        return console_read(buffer, length);
    case FILE_RAMDISK:
        return ramdisk_read(file, buffer, length);
    case FILE_PIPE_READ:
        return pipe_read(file->pipe, buffer, length);
    default:
        return -1;
    }
}

i64 file_write(struct file *file, u64 buffer, u64 length)
{
    switch (file->kind) {
    case FILE_CONSOLE:
        return console_write(buffer, length);
    case FILE_PIPE_WRITE:
        return pipe_write(file->pipe, buffer, length);
    default:
        return -1;
    }
}
