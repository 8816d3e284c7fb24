/* System calls: a table of functions of up to three arguments. See abi.h for what each one promises. */
#include "kernel.h"

static int descriptor_of(struct file *file)
{
    for (int fd = 0; fd < DESCRIPTOR_MAX; fd++)
        if (current->files[fd] == NULL) {
            current->files[fd] = file;
            return fd;
        }
    return -1;
}

static struct file *file_of(u64 fd) { return fd < DESCRIPTOR_MAX ? current->files[fd] : NULL; }

static i64 sys_exit(u64 status, u64 b, u64 c) { process_exit((i32)(status & 127)); }

static i64 sys_fork(u64 a, u64 b, u64 c) { return process_fork(); }

/* The new program's arguments come from memory that exec gives up, so they go through a frame. */
static i64 sys_exec(u64 name, u64 arguments, u64 c)
{
    char program[NAME_SIZE + 8];
    struct buffer {
        const char *pointers[ARGUMENTS_MAX];
        char text[PAGE_SIZE - ARGUMENTS_MAX * sizeof(char *)];
    } *buffer = frame_alloc();
    if (buffer == NULL)
        return -1;
    u32 count = 0;
    u64 used = 0;
    bool is_good = copy_text_in(program, name, sizeof program);
    while (is_good) {
        u64 pointer;
        is_good = copy_in(&pointer, arguments + count * sizeof pointer, sizeof pointer);
        if (!is_good || pointer == 0)
            break;
        is_good = count < ARGUMENTS_MAX && copy_text_in(buffer->text + used, pointer, sizeof buffer->text - used);
        if (is_good) {
            buffer->pointers[count++] = buffer->text + used;
            used += strlen(buffer->text + used) + 1;
        }
    }
    i64 result = is_good ? exec(program, count, buffer->pointers) : -1;
    frame_release((u64)buffer);
    return result;
}

static i64 sys_wait(u64 status, u64 b, u64 c)
{
    i32 value;
    i64 pid = process_wait(&value);
    if (pid > 0 && status && !copy_out(status, &value, sizeof value))
        return -1;
    return pid;
}

static i64 sys_kill(u64 pid, u64 b, u64 c) { return process_kill((u32)pid) ? 0 : -1; }

static i64 sys_getpid(u64 a, u64 b, u64 c) { return current->pid; }

static i64 sys_yield(u64 a, u64 b, u64 c)
{
    schedule();
    return 0;
}

static i64 sys_sleep(u64 ticks, u64 b, u64 c)
{
    clock_sleep(ticks);
    return 0;
}

static i64 sys_uptime(u64 a, u64 b, u64 c) { return (i64)clock_ticks(); }

static i64 sys_sbrk(u64 bytes, u64 b, u64 c) { return region_grow_heap(current, (i64)bytes); }

static i64 sys_map(u64 bytes, u64 prot, u64 c) { return region_map(&current->space, bytes, (u32)prot); }

static i64 sys_unmap(u64 address, u64 bytes, u64 c) { return region_unmap(&current->space, address, bytes); }

static i64 sys_protect(u64 address, u64 bytes, u64 prot)
{
    return region_protect(&current->space, address, bytes, (u32)prot);
}

static i64 sys_open(u64 name, u64 b, u64 c)
{
    char text[sizeof((struct entry *)0)->name];
    if (!copy_text_in(text, name, sizeof text))
        return -1;
    const struct entry *entry = ramdisk_find(text);
    struct file *file = entry ? file_create(FILE_RAMDISK) : NULL;
    if (file == NULL)
        return -1;
    file->entry = entry;
    int fd = descriptor_of(file);
    if (fd < 0)
        file_close(file);
    return fd;
}

static i64 sys_close(u64 fd, u64 b, u64 c)
{
    struct file *file = file_of(fd);
    if (file == NULL)
        return -1;
    current->files[fd] = NULL;
    file_close(file);
    return 0;
}

static i64 sys_dup(u64 fd, u64 b, u64 c)
{
    struct file *file = file_of(fd);
    int copy = file ? descriptor_of(file) : -1;
    if (copy >= 0)
        file->references++;
    return copy;
}

static i64 sys_read(u64 fd, u64 buffer, u64 length)
{
    struct file *file = file_of(fd);
    return file ? file_read(file, buffer, length) : -1;
}

static i64 sys_write(u64 fd, u64 buffer, u64 length)
{
    struct file *file = file_of(fd);
    return file ? file_write(file, buffer, length) : -1;
}

static i64 sys_pipe(u64 result, u64 b, u64 c)
{
    struct file *reader, *writer;
    if (!pipe_create(&reader, &writer))
        return -1;
    i32 fds[2] = {descriptor_of(reader), descriptor_of(writer)};
    if (fds[1] >= 0 && copy_out(result, fds, sizeof fds))
        return 0;
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            current->files[fds[i]] = NULL;
    file_close(reader);
    file_close(writer);
    return -1;
}

static i64 sys_list(u64 index, u64 result, u64 c)
{
    const struct entry *entry = index < UINT32_MAX ? ramdisk_at((u32)index) : NULL;
    if (entry == NULL)
        return -1;
    struct file_info info = {.size = entry->size};
    strcopy(info.name, entry->name, sizeof info.name);
    return copy_out(result, &info, sizeof info) ? 0 : -1;
}

static i64 sys_ps(u64 result, u64 room, u64 c)
{
    struct process_info *info = frame_alloc_zeroed();
    if (info == NULL)
        return -1;
    if (room > PAGE_SIZE / sizeof *info)
        room = PAGE_SIZE / sizeof *info;
    u64 count = process_list(info, room);
    bool is_good = copy_out(result, info, (count < room ? count : room) * sizeof *info);
    frame_release((u64)info);
    return is_good ? (i64)count : -1;
}

static i64 sys_stats(u64 result, u64 b, u64 c) { return copy_out(result, &stats, sizeof stats) ? 0 : -1; }

static i64 sys_poweroff(u64 a, u64 b, u64 c) { power_off(); }

static i64 (*const calls[SYS_COUNT])(u64, u64, u64) = {
    [SYS_EXIT] = sys_exit,     [SYS_FORK] = sys_fork,         [SYS_EXEC] = sys_exec,   [SYS_WAIT] = sys_wait,
    [SYS_KILL] = sys_kill,     [SYS_GETPID] = sys_getpid,     [SYS_YIELD] = sys_yield, [SYS_SLEEP] = sys_sleep,
    [SYS_UPTIME] = sys_uptime, [SYS_SBRK] = sys_sbrk,         [SYS_MAP] = sys_map,     [SYS_UNMAP] = sys_unmap,
    [SYS_PROTECT] = sys_protect, [SYS_OPEN] = sys_open,       [SYS_CLOSE] = sys_close, [SYS_DUP] = sys_dup,
    [SYS_READ] = sys_read,     [SYS_WRITE] = sys_write,       [SYS_PIPE] = sys_pipe,   [SYS_LIST] = sys_list,
    [SYS_PS] = sys_ps,         [SYS_STATS] = sys_stats,       [SYS_POWEROFF] = sys_poweroff,
};

void system_call(struct trapframe *frame)
{
    u64 number = frame->x[X_A7];
    i64 result = number < SYS_COUNT ? calls[number](frame->x[X_A0], frame->x[X_A1], frame->x[X_A2]) : -1;
    frame->x[X_A0] = (u64)result;
}
