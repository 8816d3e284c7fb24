/* The process table, and how processes come and go. */
#include "kernel.h"

struct process processes[PROCESS_MAX];
static u32 last_pid;

/* A process with a kernel stack and nothing else; it will start in user_return. */
static struct process *allocate(void)
{
    for (int i = 0; i < PROCESS_MAX; i++) {
        struct process *process = &processes[i];
        if (process->state != UNUSED)
            continue;
        memset(process, 0, sizeof *process);
        process->stack = frame_alloc();
        if (process->stack == NULL)
            return NULL;
        process->frame = (struct trapframe *)(process->stack + PAGE_SIZE) - 1;
        process->context.ra = (u64)user_return;
        process->context.sp = (u64)process->frame;
        process->pid = ++last_pid;
        return process;
    }
    return NULL;
}

static void release(struct process *process)
{
    frame_release((u64)process->stack);
    process->state = UNUSED;
}

/* A first process, without a parent and with nothing in its memory. */
struct process *process_create(const char *name)
{
    struct process *process = allocate();
    if (process == NULL || !space_create(&process->space))
        return NULL;
    strcopy(process->name, name, sizeof process->name);
    process->state = READY;
    return process;
}

i64 process_fork(void)
{
    struct process *child = allocate();
    if (child == NULL)
        return -1;
    if (!space_fork(&current->space, &child->space)) {
        release(child);
        return -1;
    }
    child->parent = current;
    child->heap_end = current->heap_end;
    memcpy(child->name, current->name, sizeof child->name);
    *child->frame = *current->frame;
    child->frame->x[X_A0] = 0;
    for (int i = 0; i < DESCRIPTOR_MAX; i++) {
        child->files[i] = current->files[i];
        if (child->files[i])
            child->files[i]->references++;
    }
    child->state = READY;
    return child->pid;
}

_Noreturn void process_exit(i32 status)
{
    struct process *init = &processes[0];
    if (current == init)
        panic("init ended");
    for (int i = 0; i < DESCRIPTOR_MAX; i++)
        if (current->files[i])
            file_close(current->files[i]);
    space_destroy(&current->space);
    for (int i = 0; i < PROCESS_MAX; i++)
        if (processes[i].state != UNUSED && processes[i].parent == current) {
            processes[i].parent = init;
            wake(init);
        }
    current->status = status;
    current->state = ZOMBIE; /* our parent will release the stack we stand on */
    wake(current->parent);
    schedule();
    panic("a zombie ran");
}

/* Wait for any child to end; -1 if there is none. */
i64 process_wait(i32 *status)
{
    for (;;) {
        bool has_child = false;
        for (int i = 0; i < PROCESS_MAX; i++) {
            struct process *child = &processes[i];
            if (child->state == UNUSED || child->parent != current)
                continue;
            has_child = true;
            if (child->state == ZOMBIE) {
                *status = child->status;
                release(child);
                return child->pid;
            }
        }
        if (!has_child || current->is_killed)
            return -1;
        block(current); /* process_exit wakes its parent by this */
    }
}

/* Have a process end itself on its way back to user mode. */
bool process_kill(u32 pid)
{
    for (int i = 1; i < PROCESS_MAX; i++) {
        struct process *process = &processes[i];
        if (process->pid != pid || process->state == UNUSED || process->state == ZOMBIE)
            continue;
        process->is_killed = true;
        process->state = READY;
        return true;
    }
    return false;
}

u64 process_list(struct process_info *info, u64 room)
{
    u64 count = 0;
    for (int i = 0; i < PROCESS_MAX; i++) {
        const struct process *process = &processes[i];
        if (process->state == UNUSED)
            continue;
        if (count < room) {
            info[count].pid = process->pid;
            info[count].parent = process->parent ? process->parent->pid : 0;
            info[count].state = "-RSZ"[process->state];
            info[count].pages = space_pages(&process->space);
            memcpy(info[count].name, process->name, NAME_SIZE);
        }
        count++;
    }
    return count;
}
