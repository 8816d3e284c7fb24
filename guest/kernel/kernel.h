/* The kernel's own structures and the functions its files share, file by file.

   One hart, and no interrupts while the kernel runs (except where it idles): so the kernel needs no
   locks, and between two calls of block() nothing changes behind its back. */
#pragma once
#include "abi.h"
#include "print.h"
#include "riscv.h"
#include "sbi.h"
#include "string.h"

enum { PROCESS_MAX = 48, FILE_MAX = 96, DESCRIPTOR_MAX = 12, REGION_MAX = 16 };

/* Registers of an interrupted user program: x[n] is register xn, and x[0], always zero, lends its place to the
   pc. It lies at the top of the process's kernel stack; trap.S knows this layout. */
struct trapframe {
    u64 x[32];
};
enum { X_PC = 0, X_SP = 2, X_A0 = 10, X_A1 = 11, X_A2 = 12, X_A7 = 17 };

/* Registers that a C function must find unchanged when swap_context returns; switch.S knows this layout. */
struct context {
    u64 ra, sp, s[12];
};

/* Part of a process's memory. Pages appear when first touched: bytes from `data` first, zeroes after. */
struct region {
    u64 start, end; /* gva, page aligned; unused if equal */
    u32 prot;       /* PROT_* */
    u32 size;       /* bytes at `data` */
    const u8 *data;
};

struct space {
    pte_t *root;
    struct region regions[REGION_MAX];
};
enum { REGION_HEAP = 0, REGION_STACK = 1, REGION_FIRST_FREE = 2 };

enum file_kind { FILE_CONSOLE, FILE_RAMDISK, FILE_PIPE_READ, FILE_PIPE_WRITE };

struct file {
    u32 references; /* 0: free */
    enum file_kind kind;
    u64 offset;                /* ramdisk */
    const struct entry *entry; /* ramdisk */
    struct pipe *pipe;
};

enum process_state { UNUSED, READY, BLOCKED, ZOMBIE };

struct process {
    enum process_state state;
    u32 pid;
    struct process *parent;
    bool is_killed;
    i32 status;          /* once a zombie */
    const void *reason;  /* what a blocked process waits for */
    u64 wake_tick;       /* when a sleeping one wakes */
    u8 *stack;           /* one frame; a trapframe at its top */
    struct trapframe *frame;
    struct context context;
    struct space space;
    u64 heap_end; /* to the byte; the region is rounded up */
    struct file *files[DESCRIPTOR_MAX];
    char name[NAME_SIZE];
};

extern struct process *current;
extern struct stats stats;

/* trap.S, switch.S, user_copy.S */
extern char trap_vector[], user_return[], user_copy[], user_copy_fault[], user_copy_end[];
void swap_context(struct context *save, struct context *load);

/* main.c */
_Noreturn void panic(const char *why);
_Noreturn void power_off(void);

/* frame.c: physical pages */
void frame_init(u64 start, u64 end);
void *frame_alloc(void); /* with anything in it; NULL if memory is full */
void *frame_alloc_zeroed(void);
void frame_share(u64 pa);
void frame_release(u64 pa);
bool frame_is_shared(u64 pa);

/* vm.c: address spaces */
enum access { ACCESS_FETCH, ACCESS_LOAD, ACCESS_STORE };
void kernel_map(u64 memory_end);
bool space_create(struct space *space);
bool space_fork(const struct space *parent, struct space *child);
void space_destroy(struct space *space);
void space_unmap(struct space *space, u64 start, u64 end);
void space_protect(struct space *space, u64 start, u64 end, u32 prot);
bool space_fault(struct space *space, u64 va, enum access access);
u32 space_pages(const struct space *space);
void space_switch(const struct space *space); /* NULL: the kernel's own */

/* region.c: what a process has asked for, present or not */
struct region *region_find(struct space *space, u64 va);
struct region *region_add(struct space *space, u64 start, u64 end, u32 prot);
i64 region_grow_heap(struct process *process, i64 bytes);
i64 region_map(struct space *space, u64 bytes, u32 prot);
i64 region_unmap(struct space *space, u64 start, u64 bytes);
i64 region_protect(struct space *space, u64 start, u64 bytes, u32 prot);

/* copy.c: between kernel and user memory; false if the user's address is bad */
bool copy_in(void *to, u64 from, u64 length);
bool copy_out(u64 to, const void *from, u64 length);
bool copy_text_in(char *to, u64 from, u64 size);
bool is_user_copy_fault(struct trapframe *frame, u64 cause);

/* process.c, schedule.c */
extern struct process processes[PROCESS_MAX];
struct process *process_create(const char *name);
i64 process_fork(void);
_Noreturn void process_exit(i32 status);
i64 process_wait(i32 *status);
bool process_kill(u32 pid);
u64 process_list(struct process_info *info, u64 room);
_Noreturn void schedule_start(void);
void schedule(void);
void block(const void *reason);
void wake(const void *reason);

/* clock.c */
void clock_init(u64 timebase, u64 hertz);
void clock_interrupt(void);
void clock_sleep(u64 ticks);
u64 clock_ticks(void);

/* exec.c */
i64 exec(const char *name, u32 count, const char *const arguments[]);

/* ramdisk.c */
struct entry { /* what guest/build.py writes */
    char name[24];
    u32 offset, size; /* bytes, from the ramdisk's start */
};
u32 ramdisk_count(void);
const struct entry *ramdisk_at(u32 index);
const struct entry *ramdisk_find(const char *name);
const u8 *ramdisk_data(const struct entry *entry);

/* file.c, pipe.c, console.c: reads and writes from and to user memory */
struct file *file_create(enum file_kind kind);
void file_close(struct file *file);
i64 file_read(struct file *file, u64 buffer, u64 length);
i64 file_write(struct file *file, u64 buffer, u64 length);
bool pipe_create(struct file **reader, struct file **writer);
void pipe_close(struct file *end);
i64 pipe_read(struct pipe *pipe, u64 buffer, u64 length);
i64 pipe_write(struct pipe *pipe, u64 buffer, u64 length);
void console_poll(void);
i64 console_read(u64 buffer, u64 length);
i64 console_write(u64 buffer, u64 length);

/* syscall.c, trap.c */
void system_call(struct trapframe *frame);
void trap_init(void);
