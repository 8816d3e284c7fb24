/* Between kernel and user memory. User pages are closed to the kernel (sstatus.SUM is 0) but for the
   moment of a copy; then it goes where the program itself could go, and page faults are answered as the
   program's own would be. MXR lets the kernel read what the program may only execute. */
#include "kernel.h"

static bool copy(void *to, const void *from, u64 user, u64 length)
{
    if (user >= USER_TOP || length > USER_TOP - user)
        return false;
    i64 (*run)(void *, const void *, u64) = (void *)user_copy;
    csr_set(sstatus, SSTATUS_SUM | SSTATUS_MXR);
    i64 error = run(to, from, length);
    csr_clear(sstatus, SSTATUS_SUM | SSTATUS_MXR);
    return error == 0;
}

bool copy_in(void *to, u64 from, u64 length) { return copy(to, (const void *)from, from, length); }

bool copy_out(u64 to, const void *from, u64 length) { return copy((void *)to, from, to, length); }

/* A NUL-terminated text; false if it does not end within `size` bytes. */
bool copy_text_in(char *to, u64 from, u64 size)
{
    for (u64 done = 0; done < size;) {
        u64 length = PAGE_SIZE - from % PAGE_SIZE; /* the page after the text's end may not exist */
        if (length > size - done)
            length = size - done;
        if (length > 32)
            length = 32;
        if (!copy_in(to + done, from, length))
            return false;
        for (u64 i = 0; i < length; i++)
            if (to[done + i] == 0)
                return true;
        done += length;
        from += length;
    }
    return false;
}

/* Called for a page fault in the kernel: true if it was user_copy's, and the copy can go on or has been
   told to give up. */
bool is_user_copy_fault(struct trapframe *frame, u64 cause)
{
    u64 va = csr_read(stval);
    u64 pc = frame->x[X_PC];
    if (pc < (u64)user_copy || pc >= (u64)user_copy_end)
        return false;
    bool is_store = cause == CAUSE_STORE_PAGE_FAULT;
    bool is_present = is_store ? space_fault(&current->space, va, ACCESS_STORE)
                               : space_fault(&current->space, va, ACCESS_LOAD) ||
                                     space_fault(&current->space, va, ACCESS_FETCH);
    if (!is_present)
        frame->x[X_PC] = (u64)user_copy_fault;
    return true;
}
