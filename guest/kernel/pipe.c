/* Pipes: a ring of bytes between a writer that blocks while it is full and a reader while it is empty. */
#include "kernel.h"

enum { RING_SIZE = 1024 };

struct pipe { /* lies in a frame of its own */
    u64 read, written; /* bytes since the start; the ring index is the remainder */
    bool has_reader, has_writer;
    u8 ring[RING_SIZE];
};

bool pipe_create(struct file **reader, struct file **writer)
{
    struct pipe *pipe = frame_alloc_zeroed();
    *reader = pipe ? file_create(FILE_PIPE_READ) : NULL;
    *writer = *reader ? file_create(FILE_PIPE_WRITE) : NULL;
    if (*writer == NULL) {
        if (*reader)
            (*reader)->references = 0;
        if (pipe)
            frame_release((u64)pipe);
        return false;
    }
    pipe->has_reader = pipe->has_writer = true;
    (*reader)->pipe = (*writer)->pipe = pipe;
    return true;
}

/* The last descriptor of one end is gone. */
void pipe_close(struct file *end)
{
    struct pipe *pipe = end->pipe;
    if (end->kind == FILE_PIPE_READ)
        pipe->has_reader = false;
    else
        pipe->has_writer = false;
    if (pipe->has_reader || pipe->has_writer)
        wake(pipe);
    else
        frame_release((u64)pipe);
}

static u64 least(u64 a, u64 b, u64 c)
{
    u64 ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Whatever is there, at least a byte; 0 once the pipe is empty and nobody can write to it. */
i64 pipe_read(struct pipe *pipe, u64 buffer, u64 length)
{
    while (pipe->read == pipe->written && length > 0) {
        if (!pipe->has_writer)
            return 0;
        if (current->is_killed)
            return -1;
        block(pipe);
    }
    u64 done = 0;
    while (done < length && pipe->read < pipe->written) {
        u64 at = pipe->read % RING_SIZE;
        u64 count = least(length - done, pipe->written - pipe->read, RING_SIZE - at);
        if (!copy_out(buffer + done, &pipe->ring[at], count))
            return -1;
        pipe->read += count;
        done += count;
    }
    wake(pipe);
    return (i64)done;
}

/* All of it, however often that blocks; -1 if nobody is left to read. */
i64 pipe_write(struct pipe *pipe, u64 buffer, u64 length)
{
    u64 done = 0;
    while (done < length) {
        if (!pipe->has_reader || current->is_killed)
            return -1;
        u64 at = pipe->written % RING_SIZE;
        u64 count = least(length - done, RING_SIZE - (pipe->written - pipe->read), RING_SIZE - at);
        if (count == 0) {
            block(pipe);
            continue;
        }
        if (!copy_in(&pipe->ring[at], buffer + done, count))
            return -1;
        pipe->written += count;
        done += count;
        wake(pipe);
    }
    return (i64)length;
}
