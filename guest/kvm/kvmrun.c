/* kvmrun [--vcpus N] GUEST: a virtual machine monitor on Linux's /dev/kvm, as small as it can be and still show every
   way out of a guest: MMIO, SBI calls, a system event. It loads an ELF file, runs it on N vCPUs, a thread each, is its
   device and its console, and says whether the guest computed and counted what it should have. Source: Linux,
   Documentation/virt/kvm/api.rst. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"

#define SEED 0x6861727476697331ul
/* The SBI's debug console: KVM hands its calls on where it is asked to. */
#define SBI_DBCN 0x4442434e
enum { DBCN_WRITE, DBCN_READ, DBCN_WRITE_BYTE };
#define SBI_NOT_SUPPORTED (-2ul)
#define SBI_INVALID_PARAMETER (-3ul)

#define REGISTER(type, index) (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (type) | (index))
#define CORE(name) REGISTER(KVM_REG_RISCV_CORE, KVM_REG_RISCV_CORE_REG(name))
#define CONSOLE REGISTER(KVM_REG_RISCV_SBI_EXT | KVM_REG_RISCV_SBI_SINGLE, KVM_RISCV_SBI_EXT_DBCN)
#define TIMEBASE REGISTER(KVM_REG_RISCV_TIMER, KVM_REG_RISCV_TIMER_REG(frequency))

struct vcpu {
    int fd, stats_fd; /* a vCPU that is running gives no second one */
    struct kvm_run *run;
    pthread_t thread;
};

static struct vcpu vcpus[MAX_VCPUS];
static uint64_t n_vcpus = 1;
static uint8_t *ram;

/* What the device, and we, count. One vCPU at a time looks or writes here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t timebase, sum, ticks, result, loads, stores, sbi_calls;

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("kvm: failed: ");
    vprintf(format, arguments);
    printf("\n");
    exit(1);
}

/* An ioctl that must succeed. */
static int control(const char *name, int fd, unsigned long request, unsigned long argument)
{
    int answer = ioctl(fd, request, argument);
    if (answer < 0)
        fail("%s: %s", name, strerror(errno));
    return answer;
}
#define CONTROL(fd, request, argument) control(#request, fd, request, (unsigned long)(argument))

static void set_register(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
    struct kvm_one_reg reg = {id, (uint64_t)&value};
    CONTROL(vcpu->fd, KVM_SET_ONE_REG, &reg);
}

static uint64_t get_register(struct vcpu *vcpu, uint64_t id)
{
    uint64_t value = 0;
    struct kvm_one_reg reg = {id, (uint64_t)&value};
    CONTROL(vcpu->fd, KVM_GET_ONE_REG, &reg);
    return value;
}

/* Whether [gpa, gpa + size) is RAM of the guest. */
static bool is_ram(uint64_t gpa, uint64_t size)
{
    return gpa >= GUEST_RAM && size <= GUEST_RAM_SIZE && gpa - GUEST_RAM <= GUEST_RAM_SIZE - size;
}

/* Place the file's segments; the address of its first instruction. */
static uint64_t load_guest(const char *path)
{
    static uint8_t file[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, file, sizeof file);
    if (size < 0)
        fail("%s: %s", path, strerror(errno));
    const Elf64_Ehdr *header = (void *)file;
    if ((size_t)size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_machine != EM_RISCV)
        fail("%s: not an ELF file for RISC-V", path);
    const Elf64_Phdr *segments = (void *)(file + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *at = &segments[i];
        if (at->p_type != PT_LOAD)
            continue;
        if (!is_ram(at->p_paddr, at->p_memsz) || at->p_offset + at->p_filesz > (size_t)size)
            fail("%s: segment %d does not fit", path, i);
        memcpy(ram + (at->p_paddr - GUEST_RAM), file + at->p_offset, at->p_filesz);
    }
    close(fd);
    return header->e_entry;
}

static uint64_t device_load(uint64_t offset)
{
    loads++;
    switch (offset) {
    case DEVICE_SEED: return SEED;
    case DEVICE_TIMEBASE: return timebase;
    case DEVICE_VCPUS: return n_vcpus;
    case DEVICE_FOLD: return sum;
    }
    fail("a load from the device's register %lx", offset);
}

static void device_store(struct vcpu *vcpu, uint64_t offset, uint64_t value, uint64_t size)
{
    stores++;
    switch (offset) {
    case DEVICE_FOLD:
        sum = fold(sum, value, size);
        return;
    case DEVICE_LINE: {
        struct kvm_interrupt interrupt = {value ? KVM_INTERRUPT_SET : KVM_INTERRUPT_UNSET};
        CONTROL(vcpu->fd, KVM_INTERRUPT, &interrupt);
        return;
    }
    case DEVICE_TICKS:
        ticks = value;
        return;
    case DEVICE_RESULT:
        result = value;
        return;
    }
    fail("a store to the device's register %lx", offset);
}

static void handle_mmio(struct vcpu *vcpu)
{
    uint64_t gpa = vcpu->run->mmio.phys_addr, size = vcpu->run->mmio.len, value = 0;
    if (gpa - DEVICE >= DEVICE_SIZE)
        fail("nothing is at %lx", gpa);
    if (vcpu->run->mmio.is_write) {
        memcpy(&value, vcpu->run->mmio.data, size);
        device_store(vcpu, gpa - DEVICE, value, size);
    } else {
        value = device_load(gpa - DEVICE);
        memcpy(vcpu->run->mmio.data, &value, size);
    }
}

/* The guest writes to its console: the bytes of [gpa, gpa + size), or one. */
static void handle_console(uint64_t function, const unsigned long *args, unsigned long *ret)
{
    if (function == DBCN_WRITE_BYTE)
        putchar((int)args[0]);
    else if (function != DBCN_WRITE)
        ret[0] = SBI_NOT_SUPPORTED;
    else if (args[2] || !is_ram(args[1], args[0]))
        ret[0] = SBI_INVALID_PARAMETER;
    else
        ret[1] = fwrite(ram + (args[1] - GUEST_RAM), 1, args[0], stdout);
}

static void handle_sbi(struct vcpu *vcpu)
{
    unsigned long *ret = vcpu->run->riscv_sbi.ret, *args = vcpu->run->riscv_sbi.args;
    sbi_calls++;
    ret[0] = ret[1] = 0;
    switch (vcpu->run->riscv_sbi.extension_id) {
    case SBI_DBCN:
        handle_console(vcpu->run->riscv_sbi.function_id, args, ret);
        return;
    case HYPERCALL:
        if (!is_ram(args[0], args[1]))
            ret[0] = SBI_INVALID_PARAMETER;
        else
            for (uint64_t at = 0; at < args[1]; at += 8)
                ret[1] += *(uint64_t *)(ram + (args[0] - GUEST_RAM) + at);
        return;
    }
    fail("SBI extension %lx", vcpu->run->riscv_sbi.extension_id);
}

/* What the kernel has counted under this name, over all vCPUs; 0 where it counts no such thing. */
static uint64_t count_of(const char *name)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < n_vcpus; i++) {
        static _Alignas(8) uint8_t stats[1 << 16];
        ssize_t size = pread(vcpus[i].stats_fd, stats, sizeof stats, 0);
        const struct kvm_stats_header *header = (void *)stats;
        for (uint32_t at = 0; size > 0 && at < header->num_desc; at++) {
            size_t stride = sizeof(struct kvm_stats_desc) + header->name_size;
            const struct kvm_stats_desc *row = (void *)(stats + header->desc_offset + at * stride);
            if (!strcmp(row->name, name))
                total += *(uint64_t *)(stats + header->data_offset + row->offset);
        }
    }
    return total;
}

/* The guest has powered off: is everything as it should be? */
static _Noreturn void finish(const struct kvm_run *run)
{
    if (run->system_event.type != KVM_SYSTEM_EVENT_SHUTDOWN)
        fail("system event %u", run->system_event.type);
    static uint64_t words[HEAP_WORDS];
    uint64_t expected = 0;
    for (uint64_t i = 0; i < n_vcpus; i++)
        expected = fold(expected, work(words, SEED + i), 0);
    if (result != expected)
        fail("the result is %016lx, not %016lx", result, expected);
    if (ticks != TICKS * n_vcpus)
        fail("%lu ticks, not %lu", ticks, TICKS * n_vcpus);
    printf("kvm: ok: %lu vcpus, %lu ticks, result %016lx, sum %016lx, exits: %lu mmio loads, %lu mmio stores, "
           "%lu sbi calls, 1 system event\n", n_vcpus, ticks, result, sum, loads, stores, sbi_calls);
    printf("kvm: the kernel counts %lu exits, among them %lu ecall, %lu wfi, %lu mmio\n", count_of("exits"),
           count_of("ecall_exit_stat"), count_of("wfi_exit_stat"), count_of("mmio_exit_user"));
    exit(0);
}

static void *run_vcpu(void *argument)
{
    struct vcpu *vcpu = argument;
    for (;;) {
        if (ioctl(vcpu->fd, KVM_RUN, 0) < 0 && errno != EINTR)
            fail("KVM_RUN: %s", strerror(errno));
        pthread_mutex_lock(&lock);
        switch (vcpu->run->exit_reason) {
        case KVM_EXIT_MMIO:
            handle_mmio(vcpu);
            break;
        case KVM_EXIT_RISCV_SBI:
            handle_sbi(vcpu);
            break;
        case KVM_EXIT_SYSTEM_EVENT:
            finish(vcpu->run);
        case KVM_EXIT_INTR:
            break;
        default:
            fail("exit %u at pc %lx", vcpu->run->exit_reason, get_register(vcpu, CORE(regs.pc)));
        }
        pthread_mutex_unlock(&lock);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--vcpus")) {
        n_vcpus = strtoul(argv[2], NULL, 10);
        argv += 2, argc -= 2;
    }
    if (argc != 2 || n_vcpus < 1 || n_vcpus > MAX_VCPUS) {
        fprintf(stderr, "usage: kvmrun [--vcpus N] GUEST (N is 1 to %d)\n", MAX_VCPUS);
        return 2;
    }
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        fail("/dev/kvm: %s; modprobe kvm brings it", strerror(errno));
    if (CONTROL(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        fail("another version of KVM");
    ram = mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ram == MAP_FAILED)
        fail("no memory");
    uint64_t entry = load_guest(argv[1]);

    int vm = CONTROL(kvm, KVM_CREATE_VM, 0), run_size = CONTROL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_userspace_memory_region region = {0, 0, GUEST_RAM, GUEST_RAM_SIZE, (uint64_t)ram};
    CONTROL(vm, KVM_SET_USER_MEMORY_REGION, &region);
    for (uint64_t i = 0; i < n_vcpus; i++) {
        vcpus[i].fd = CONTROL(vm, KVM_CREATE_VCPU, i);
        vcpus[i].stats_fd = CONTROL(vcpus[i].fd, KVM_GET_STATS_FD, 0);
        vcpus[i].run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[i].fd, 0);
        if (vcpus[i].run == MAP_FAILED)
            fail("vCPU %lu: %s", i, strerror(errno));
        set_register(&vcpus[i], CONSOLE, 1);
    }
    /* The others wait until the guest starts them. */
    set_register(&vcpus[0], CORE(regs.pc), entry);
    set_register(&vcpus[0], CORE(regs.a0), 0);
    set_register(&vcpus[0], CORE(regs.a1), 0);
    set_register(&vcpus[0], CORE(mode), KVM_RISCV_MODE_S);
    timebase = get_register(&vcpus[0], TIMEBASE);
    for (uint64_t i = 1; i < n_vcpus; i++)
        if (pthread_create(&vcpus[i].thread, NULL, run_vcpu, &vcpus[i]))
            fail("vCPU %lu has no thread", i);
    run_vcpu(&vcpus[0]);
    return 0;
}
