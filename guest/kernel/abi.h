/* What the kernel and its programs agree on: system calls, their structures, the map of user memory.
   A program puts the call's number in a7 and up to three arguments in a0-a2, and executes ecall; the
   result comes back in a0, negative for an error. */
#pragma once
#include "types.h"

enum {
    SYS_EXIT,     /* (status) */
    SYS_FORK,     /* () -> the child's pid, 0 in the child */
    SYS_EXEC,     /* (name, argv) -> only if it failed */
    SYS_WAIT,     /* (int *status) -> pid of a child that ended, -1 if there is none to wait for */
    SYS_KILL,     /* (pid) */
    SYS_GETPID,   /* () -> pid */
    SYS_YIELD,    /* () let another process run */
    SYS_SLEEP,    /* (timer ticks) */
    SYS_UPTIME,   /* () -> timer ticks since boot */
    SYS_SBRK,     /* (bytes) -> the old end of the heap */
    SYS_MAP,      /* (bytes, PROT_*) -> address of new zeroed pages */
    SYS_UNMAP,    /* (address, bytes) whole pages out of SYS_MAP's */
    SYS_PROTECT,  /* (address, bytes, PROT_*) */
    SYS_OPEN,     /* (name) -> file descriptor */
    SYS_CLOSE,    /* (fd) */
    SYS_DUP,      /* (fd) -> the lowest free descriptor */
    SYS_READ,     /* (fd, buffer, bytes) -> bytes read, 0 at the end */
    SYS_WRITE,    /* (fd, buffer, bytes) -> bytes written */
    SYS_PIPE,     /* (int fds[2]): fds[0] reads what fds[1] writes */
    SYS_LIST,     /* (index, struct file_info *): the ramdisk's files in order, -1 after the last */
    SYS_PS,       /* (struct process_info *, how many fit) -> how many there are */
    SYS_STATS,    /* (struct stats *) */
    SYS_POWEROFF, /* () */
    SYS_COUNT,
};

enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };

/* A process's exit status: 0 to 127 are its own, 128 + scause if a fault ended it, 255 if killed. */
enum { STATUS_FAULT = 128, STATUS_KILLED = 255 };

enum { NAME_SIZE = 16, ARGUMENTS_MAX = 16 };

struct file_info {
    char name[24];
    u64 size; /* bytes */
};

struct process_info {
    u32 pid, parent;
    char state; /* R ready or running, S sleeping, Z ended and not yet waited for */
    char name[NAME_SIZE];
    u32 pages; /* resident */
};

/* What the kernel has done since boot. */
struct stats {
    u64 interrupts, system_calls, page_faults, kernel_faults; /* traps; the last from within the kernel */
    u64 zero_fills, loads, cow_copies, cow_reuses;            /* how page faults were answered */
    u64 switches, address_switches;                           /* of processes; of satp among them */
    u64 pte_writes, fences, frames_in_use;
};

/* User memory is the first GiB; the kernel fills the root's other entries (see vm.c). */
#define USER_PROGRAM 0x10000ul
#define USER_HEAP_MAX 0x10000000ul
#define USER_MAPS 0x20000000ul
#define USER_MAPS_END 0x30000000ul
#define USER_STACK_TOP 0x3ffff000ul
#define USER_STACK_SIZE 0x40000ul
#define USER_TOP 0x40000000ul
