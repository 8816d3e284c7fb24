/* The guest that kvmrun runs. Each vCPU pages on demand, works in user mode while timer interrupts come, sleeps until
   more have come, and asks the device for an interrupt; vCPU 0 accesses the device in every size, with paging off and
   on, and maps a page anew under the eyes of the others, which learn of it by a remote fence. What kvmrun then compares
   was computed by all of this. */
#include "device.h"
#include "tiny.h"

#define HEAP 0x40000000ul       /* gva, pages on demand */
#define DEVICE_GVA 0x40200000ul /* the device again */
#define SHARED 0x40201000ul     /* one page, mapped to one frame and later to another */
#define IMAGE_GVA 0x40400000ul  /* this image again, for user mode */
#define IMAGE 0x80200000ul
#define HEAP_FRAMES 0x80400000ul
#define HEAP_SIZE (HEAP_WORDS * 8)
#define TICKS_AT_WORK (TICKS / 2)

enum { SBI_IPI = 0x735049, SBI_RFENCE = 0x52464e43, SBI_HSM = 0x48534d, HSM_START = 0, HSM_STOP = 1, SFENCE = 1 };
enum { FIRST = 0x1111, SECOND = 0x2222 }; /* what the shared page's frames hold */

/* A vCPU; sscratch points to its own. */
static struct vcpu {
    u64 number, frames_used, saved_sp, result;
    volatile u64 ticks, wanted_ticks, externals, softs, illegals;
    pte_t *root;
    _Alignas(16) u8 stack[8192];
} vcpus[MAX_VCPUS];

static u64 seed, timebase, n_vcpus;
static bool has_sstc;
static volatile u64 watching, finished;
static _Alignas(PAGE_SIZE) u64 first_frame[512], second_frame[512];
static _Alignas(16) u8 user_stacks[MAX_VCPUS][8192];

u64 enter_user(u64 program, u64 stack, u64 first, u64 second, u64 *saved);
extern char leave_user[], other_start[];

static struct vcpu *self(void) { return (struct vcpu *)csr_read(sscratch); }

static void set_timer(u64 deadline, bool by_register)
{
    if (by_register && has_sstc)
        asm volatile("csrw 0x14d, %0" ::"r"(deadline)); /* stimecmp */
    else
        sbi_set_timer(deadline);
}

/* Ask for a tick, or for none if there were enough: by register and by SBI in turn. Linux 6.12 forgets a deadline that
   came by SBI if it takes the vCPU off its hart before the guest goes on, and what stood in the register before counts:
   here that has passed, so the tick comes early; were it "never", no tick would come. */
static void next_tick(struct vcpu *vcpu)
{
    set_timer(vcpu->ticks < vcpu->wanted_ticks ? csr_read(time) + timebase / 1000 : ~0ul, !(vcpu->ticks & 1));
}

static void handle(struct trap *trap, u64 cause, u64 value)
{
    struct vcpu *vcpu = self();
    switch (cause) {
    case IRQ_S_TIMER:
        vcpu->ticks++;
        next_tick(vcpu);
        return;
    case IRQ_S_EXTERNAL:
        vcpu->externals++;
        *(volatile u32 *)(DEVICE_GVA + DEVICE_LINE) = 0;
        return;
    case IRQ_S_SOFT:
        vcpu->softs++;
        csr_clear(sip, SIP_SSIP);
        return;
    case CAUSE_ECALL_FROM_U:
        trap->x[0] = (u64)leave_user;
        trap->x[2] = vcpu->saved_sp;
        csr_set(sstatus, SSTATUS_SPP);
        return;
    case CAUSE_ILLEGAL_INSTRUCTION:
        vcpu->illegals++;
        trap->x[0] += 4;
        return;
    case CAUSE_STORE_PAGE_FAULT:
        if (value - HEAP < HEAP_SIZE) {
            /* Frames are taken from the last, so that no address is its own. */
            u64 last = HEAP_FRAMES + (vcpu->number + 1) * HEAP_SIZE - PAGE_SIZE;
            map_page(vcpu->root, value & -PAGE_SIZE, last - vcpu->frames_used++ * PAGE_SIZE, PTE_R | PTE_W | PTE_U, 0);
            sfence_page(value);
            return;
        }
    }
    printf("nested: vcpu %lu: scause %lx, sepc %lx, stval %lx\n", vcpu->number, cause, trap->x[0], value);
    sbi_poweroff();
}

/* Sleep until *counter is `wanted`; an interrupt that comes before we sleep is not missed, as all are off here. */
static void sleep_until(volatile u64 *counter, u64 wanted)
{
    while (*counter < wanted) {
        wfi();
        csr_set(sstatus, SSTATUS_SIE);
        csr_clear(sstatus, SSTATUS_SIE);
    }
}

/* Every load and store that there is, each to the device; what loads give, as they extend it, is folded in. */
static void access_device(u64 device)
{
    register u64 at asm("a4") = device + DEVICE_FOLD; /* one of the registers that compressed forms reach */
    register u64 value asm("a5") = 0xfedcba9876543210 ^ device;
#define UNCOMPRESSED(text) ".option push\n .option norvc\n " text "\n .option pop"
#define STORE(name) asm volatile(UNCOMPRESSED(name " %0, (%1)") ::"r"(value), "r"(at) : "memory")
#define LOAD(name)                                                                              \
    asm volatile(UNCOMPRESSED(name " %0, (%1)") : "=r"(value) : "r"(at) : "memory");            \
    STORE("sd")
    STORE("sb");
    STORE("sh");
    STORE("sw");
    STORE("sd");
    asm volatile("c.sw %0, (%1)\n c.sd %0, (%1)" ::"r"(value), "r"(at) : "memory");
    LOAD("lb");
    LOAD("lbu");
    LOAD("lh");
    LOAD("lhu");
    LOAD("lw");
    LOAD("lwu");
    LOAD("ld");
    asm volatile("c.lw %0, (%1)" : "=r"(value) : "r"(at) : "memory");
    STORE("sd");
    asm volatile("c.ld %0, (%1)" : "=r"(value) : "r"(at) : "memory");
    STORE("sd");
}

static void user_program(u64 words, u64 from)
{
    u64 sum = work((u64 *)words, from);
    register u64 a0 asm("a0") = sum;
    asm volatile("ecall" ::"r"(a0) : "memory");
}

static u64 in_user_view(const void *address) { return (u64)address - IMAGE + IMAGE_GVA; }

/* What each vCPU does; traps are on, paging is not. */
static void take_part(struct vcpu *vcpu)
{
    map_page(vcpu->root, DEVICE_GVA, DEVICE, PTE_R | PTE_W, 0);
    map_page(vcpu->root, SHARED, (u64)first_frame, PTE_R, 0);
    map_page(vcpu->root, IMAGE_GVA, IMAGE, PTE_R | PTE_W | PTE_X | PTE_U, 1);
    use_root(vcpu->root);
    csr_set(sstatus, SSTATUS_SUM | 1ul << 13); /* traps in user mode are handled on its stack; FS: floating point */
    csr_write(sie, SIP_STIP | SIP_SEIP | SIP_SSIP);

    vcpu->wanted_ticks = TICKS_AT_WORK;
    next_tick(vcpu);
    do
        vcpu->result = enter_user(in_user_view(user_program), in_user_view(user_stacks[vcpu->number + 1]), HEAP,
                                  seed + vcpu->number, &vcpu->saved_sp);
    while (vcpu->ticks < TICKS_AT_WORK);
    vcpu->wanted_ticks = TICKS;
    next_tick(vcpu);
    sleep_until(&vcpu->ticks, TICKS);

    *(volatile u32 *)(DEVICE_GVA + DEVICE_LINE) = 1;
    sleep_until(&vcpu->externals, 1);
}

static void start_vcpu(struct vcpu *vcpu)
{
    on_trap(handle);
    csr_write(sscratch, vcpu);
}

void other_main(u64 number)
{
    struct vcpu *vcpu = &vcpus[number];
    start_vcpu(vcpu);
    take_part(vcpu);
    volatile u64 *shared = (u64 *)SHARED;
    u64 before = *shared;
    __atomic_fetch_add(&watching, 1, __ATOMIC_SEQ_CST);
    sbi_call(SBI_IPI, 0, 1, 0, 0);
    while (*shared == before)
        ;
    vcpu->result ^= before ^ *shared ^ FIRST ^ SECOND;
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    sbi_call(SBI_IPI, 0, 1, 0, 0);
    sbi_call(SBI_HSM, HSM_STOP, 0, 0, 0);
}

/* Map the shared page to the other frame, in every vCPU's tables, and have all harts forget the first. */
static void remap_shared(void)
{
    for (u64 i = 1; i < n_vcpus; i++)
        *find_pte(vcpus[i].root, SHARED) = pte_of((u64)second_frame, PTE_V | PTE_R | PTE_A);
    register u64 a0 asm("a0") = (1ul << n_vcpus) - 2;
    register u64 a1 asm("a1") = 0;
    register u64 a2 asm("a2") = SHARED;
    register u64 a3 asm("a3") = PAGE_SIZE;
    register u64 a6 asm("a6") = SFENCE;
    register u64 a7 asm("a7") = SBI_RFENCE;
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
}

void main(void)
{
    struct vcpu *vcpu = &vcpus[0];
    start_vcpu(vcpu);
    asm volatile("csrw 0x14d, %0" ::"r"(~0ul)); /* stimecmp, if there is one */
    has_sstc = vcpu->illegals == 0;
    seed = *(volatile u64 *)(DEVICE + DEVICE_SEED);
    timebase = *(volatile u64 *)(DEVICE + DEVICE_TIMEBASE);
    n_vcpus = *(volatile u64 *)(DEVICE + DEVICE_VCPUS);
    first_frame[0] = FIRST;
    second_frame[0] = SECOND;
    access_device(DEVICE);
    for (u64 i = 0; i < n_vcpus; i++) {
        vcpus[i].number = i;
        vcpus[i].root = new_root();
        find_pte(vcpus[i].root, HEAP); /* tables come from one pool: take them before the others run */
        find_pte(vcpus[i].root, DEVICE_GVA);
    }
    for (u64 i = 1; i < n_vcpus; i++)
        sbi_call(SBI_HSM, HSM_START, i, (u64)other_start, (u64)&vcpus[i].stack[sizeof vcpus[i].stack]);
    take_part(vcpu);
    access_device(DEVICE_GVA);

    sleep_until(&watching, n_vcpus - 1);
    remap_shared();
    sleep_until(&finished, n_vcpus - 1);

    u64 result = 0, ticks = 0;
    for (u64 i = 0; i < n_vcpus; i++) {
        result = fold(result, vcpus[i].result, 0);
        ticks += vcpus[i].ticks;
        u64 frames = HEAP_FRAMES + i * HEAP_SIZE, sum = 0;
        for (u64 at = 0; at < HEAP_SIZE; at += 8)
            sum += *(u64 *)(frames + at);
        struct sbi_result answer = sbi_call(HYPERCALL, 0, frames, HEAP_SIZE, 0);
        if (answer.error != 0 || (u64)answer.value != sum)
            printf("nested: vcpu %lu: kvmrun sees other memory than we do\n", i);
    }
    printf("nested: %lu vcpus, %lu ticks, %lu pages on demand each, timers by %s\n", n_vcpus, ticks, vcpu->frames_used,
           has_sstc ? "stimecmp and SBI" : "SBI");
    *(volatile u64 *)(DEVICE_GVA + DEVICE_TICKS) = ticks;
    *(volatile u64 *)(DEVICE_GVA + DEVICE_RESULT) = result;
}
