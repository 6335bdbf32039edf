/* A plugin of qemu's that counts what the guest's processor executes, and where it had come to.

   The file that is named by out=FILE holds four numbers of eight octets: instructions executed so
   far, how many they were when the first of the kernel's and of user space's began, and how many
   were the kernel's. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated call);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static volatile uint64_t *numbers;

static void count(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    uint64_t address = qemu_plugin_tb_vaddr(block);
    int kernel = address >= 0xffffffff80000000u, user = address >> 32 && address >> 47 == 0;
    (void)id;
    if (kernel && !numbers[1])
        numbers[1] = numbers[0];
    if (user && numbers[1] && !numbers[2])
        numbers[2] = numbers[0];
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, (void *)numbers, qemu_plugin_tb_n_insns(block));
    if (address >> 63)
        qemu_plugin_register_vcpu_tb_exec_inline(
            block, 0, (void *)(numbers + 3), qemu_plugin_tb_n_insns(block));
}

__attribute__((visibility("default"))) int qemu_plugin_install(
    qemu_plugin_id_t id, const void *about, int words, char **word)
{
    int file;
    (void)about;
    if (words != 1 || strncmp(word[0], "out=", 4))
        return -1;
    file = open(word[0] + 4, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4 * sizeof *numbers))
        return -1;
    numbers = mmap(0, 4 * sizeof *numbers, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (numbers == MAP_FAILED)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, count);
    return 0;
}
