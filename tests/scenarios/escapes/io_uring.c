// Connects and sends by io_uring alone, with raw system calls: 198.51.100.66, TCP port 7.
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    int ring = syscall(__NR_io_uring_setup, 8, &params);
    if (ring < 0) { perror("io_uring_setup"); return 1; }
    size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t done = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *sq = mmap(0, size > done ? size : done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(0, params.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (sq == MAP_FAILED || entries == MAP_FAILED) { perror("mmap"); return 1; }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
    inet_pton(AF_INET, "198.51.100.66", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&entries[0], 0, sizeof entries[0]);
    entries[0].opcode = IORING_OP_CONNECT;
    entries[0].fd = fd;
    entries[0].addr = (unsigned long)&to;
    entries[0].off = sizeof to;
    unsigned *tail = (unsigned *)(sq + params.sq_off.tail);
    ((unsigned *)(sq + params.sq_off.array))[0] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) < 0) { perror("io_uring_enter"); return 1; }
    struct io_uring_cqe *result = (struct io_uring_cqe *)(sq + params.cq_off.cqes);
    printf("connect: %d\n", result->res);
    return result->res != 0;
}
