/* The console: firmware's, polled at every timer tick. Bytes typed wait in a ring until a process reads;
   only then are they echoed and edited, so that a prompt always stands before the line typed to it. */
#include "kernel.h"

enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, DELETE = 127 };
enum { RING_SIZE = 1024, LINE_SIZE = 256 };

static char ring[RING_SIZE];
static u64 typed, taken; /* bytes since boot */

static char line[LINE_SIZE];
static u64 line_length, line_read; /* what of a finished line has been read already */
static bool is_line_finished;

/* Ctrl-C ends all but init and the shells; with nothing to end it empties the line. */
static bool interrupt_programs(void)
{
    bool has_ended = false;
    for (int i = 1; i < PROCESS_MAX; i++)
        if (processes[i].state != UNUSED && processes[i].parent != &processes[0])
            has_ended |= process_kill(processes[i].pid);
    return has_ended;
}

void console_poll(void)
{
    bool has_typed = false;
    while (typed - taken < RING_SIZE) {
        int c = sbi_getchar();
        if (c < 0)
            break;
        if (c == CTRL_C && interrupt_programs())
            continue;
        ring[typed++ % RING_SIZE] = c == CTRL_C ? CTRL_U : (char)c;
        has_typed = true;
    }
    if (has_typed)
        wake(ring);
}

static void erase_character(void)
{
    if (line_length > 0) {
        line_length--;
        sbi_write("\b \b", 3);
    }
}

static void edit(char c)
{
    if (c == '\r')
        c = '\n';
    if (c == BACKSPACE || c == DELETE) {
        erase_character();
    } else if (c == CTRL_U) {
        while (line_length > 0)
            erase_character();
    } else if (c == CTRL_D) {
        is_line_finished = true;
    } else if (line_length < LINE_SIZE - 1 || c == '\n') {
        line[line_length++] = c;
        sbi_write(&c, 1);
        is_line_finished = c == '\n';
    }
}

/* At most one line; 0 if it is empty but for a Ctrl-D. */
i64 console_read(u64 buffer, u64 length)
{
    while (!is_line_finished) {
        if (current->is_killed)
            return -1;
        if (taken == typed)
            block(ring);
        else
            edit(ring[taken++ % RING_SIZE]);
    }
    u64 left = line_length - line_read;
    if (length > left)
        length = left;
    if (!copy_out(buffer, line + line_read, length))
        return -1;
    line_read += length;
    if (line_read == line_length) {
        line_length = line_read = 0;
        is_line_finished = false;
    }
    return (i64)length;
}

i64 console_write(u64 buffer, u64 length)
{
    char text[128];
    for (u64 done = 0; done < length;) {
        u64 count = length - done < sizeof text ? length - done : sizeof text;
        if (!copy_in(text, buffer + done, count))
            return -1;
        sbi_write(text, count);
        done += count;
    }
    return (i64)length;
}
