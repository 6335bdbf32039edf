/* Phones on two networks that send G.711: evenly paced frames, every sixteenth one timed.
 *
 *   rtp left=NETNS right=NETNS left_mac=MAC right_mac=MAC streams=FILE seconds=N
 *
 * Each line of the file is one stream: `side source port target port`, side 0 is left. Frames go
 * out by packet sockets past the queueing discipline, since a socket for each phone would cost more
 * than what is measured. Whoever starts this drops and counts the frames that arrive, in the
 * kernel; packet sockets see them before that.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD 160
#define SIZE (14 + 20 + 8 + 12 + PAYLOAD)
#define MAGIC 0x48464c44u
#define RATE 50
#define BATCH 32
#define SAMPLE_MASK 15
#define IGNORE_OUTGOING 23 /* PACKET_IGNORE_OUTGOING */

struct side {
    int sending, receiving;
    unsigned char mac[6], target_mac[6];
    unsigned char frames[BATCH][SIZE];
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH];
    int filled;
};

struct stream {
    int side;
    uint32_t source, target;
    uint16_t source_port, target_port, sequence;
    uint32_t fixed; /* sum of what does not change, for the checksum */
};

static struct side sides[2];
static struct stream *streams;
static int count;
static uint32_t *delays;
static size_t sampled, room;

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint32_t sum(const void *data, size_t size)
{
    const unsigned char *at = data;
    uint32_t total = 0;
    for (size_t n = 0; n < size; n += 2)
        total += (uint32_t)at[n] << 8 | at[n + 1];
    return total;
}

static uint16_t fold(uint32_t total)
{
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)~total;
}

static void put16(unsigned char *at, uint16_t value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static void open_side(struct side *side, const char *place, const char *target_mac)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 54),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAGIC, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 44),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SAMPLE_MASK, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 128),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    struct sockaddr_ll address = {.sll_family = AF_PACKET};
    int space = open(place, O_RDONLY), yes = 1, large = 64 << 20;
    unsigned part[6];
    if (space < 0 || setns(space, CLONE_NEWNET) != 0)
        fail(place);
    close(space);
    side->sending = socket(AF_PACKET, SOCK_RAW, 0);
    side->receiving = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
    if (side->sending < 0 || side->receiving < 0)
        fail("packet socket");
    address.sll_ifindex = (int)if_nametoindex("eth0");
    if (bind(side->sending, (struct sockaddr *)&address, sizeof address) != 0)
        fail("bind");
    setsockopt(side->sending, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes);
    setsockopt(side->sending, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large);
    setsockopt(side->receiving, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
    setsockopt(side->receiving, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
    setsockopt(side->receiving, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    setsockopt(side->receiving, SOL_PACKET, IGNORE_OUTGOING, &yes, sizeof yes);
    address.sll_protocol = htons(ETH_P_ALL);
    if (bind(side->receiving, (struct sockaddr *)&address, sizeof address) != 0)
        fail("bind");
    if (sscanf(target_mac, "%x:%x:%x:%x:%x:%x", part, part + 1, part + 2, part + 3, part + 4,
               part + 5) != 6)
        fail("MAC");
    for (int n = 0; n < 6; n++)
        side->target_mac[n] = (unsigned char)part[n];
    side->mac[0] = 2;
    for (int n = 0; n < BATCH; n++) {
        side->vectors[n] = (struct iovec){side->frames[n], SIZE};
        side->messages[n].msg_hdr = (struct msghdr){.msg_iov = &side->vectors[n], .msg_iovlen = 1};
    }
}

static void write_frame(unsigned char *at, struct stream *stream, uint64_t now)
{
    struct side *side = &sides[stream->side];
    unsigned char *ip = at + 14, *udp = ip + 20, *rtp = udp + 8;
    uint32_t stamp = (uint32_t)stream->sequence * PAYLOAD, word;
    memcpy(at, side->target_mac, 6);
    memcpy(at + 6, side->mac, 6);
    put16(at + 12, ETH_P_IP);
    memset(ip, 0, 20);
    ip[0] = 0x45;
    ip[1] = 0xb8;
    put16(ip + 2, SIZE - 14);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, &stream->source, 4);
    memcpy(ip + 16, &stream->target, 4);
    put16(ip + 10, fold(sum(ip, 20)));
    put16(udp, stream->source_port);
    put16(udp + 2, stream->target_port);
    put16(udp + 4, SIZE - 34);
    put16(udp + 6, 0);
    memset(rtp, 0, 12);
    rtp[0] = 0x80;
    put16(rtp + 2, stream->sequence++);
    word = htonl(stamp);
    memcpy(rtp + 4, &word, 4);
    memcpy(rtp + 8, &stream->source_port, 2);
    word = htonl(MAGIC);
    memcpy(rtp + 12, &word, 4);
    memcpy(rtp + 16, &now, 8);
    if (stream->fixed == 0) {
        /* The rest of the payload stays as it is; each frame of a batch serves any stream. */
        stream->fixed = 17u + 2u * (SIZE - 34) + sum(ip + 12, 8) + sum(udp, 4) + 0xd5d5u * ((PAYLOAD - 12) / 2);
    }
    put16(udp + 6, fold(stream->fixed + sum(rtp, 24)));
}

static void flush(struct side *side)
{
    int done = 0;
    while (done < side->filled) {
        int sent = sendmmsg(side->sending, side->messages + done, (unsigned)(side->filled - done), 0);
        if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
            fail("send");
        if (sent > 0)
            done += sent;
    }
    side->filled = 0;
}

static void collect(struct side *side)
{
    unsigned char frame[128];
    char control[64];
    for (int n = 0; n < 64; n++) {
        struct iovec vector = {frame, sizeof frame};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        struct cmsghdr *told;
        uint64_t sent, arrived = 0;
        if (recvmsg(side->receiving, &message, 0) < 80)
            return;
        for (told = CMSG_FIRSTHDR(&message); told; told = CMSG_NXTHDR(&message, told))
            if (told->cmsg_level == SOL_SOCKET && told->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec *time = (struct timespec *)CMSG_DATA(told);
                arrived = (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
            }
        memcpy(&sent, frame + 58, 8);
        if (arrived > sent && sampled < room)
            delays[sampled++] = (uint32_t)((arrived - sent) / 100);
    }
}

static void read_streams(const char *name)
{
    FILE *file = fopen(name, "r");
    char source[64], target[64];
    int side, source_port, target_port, space = 0;
    if (!file)
        fail(name);
    while (fscanf(file, "%d %63s %d %63s %d", &side, source, &source_port, target, &target_port) ==
           5) {
        if (count == space) {
            space = space ? 2 * space : 1024;
            streams = realloc(streams, (size_t)space * sizeof *streams);
        }
        /* Each begins with a number of its own, as RFC 3550 has it: a relay that samples by number
         * would otherwise look at all streams at once, and then at none. */
        streams[count] = (struct stream){.side = side, .source = inet_addr(source),
                                         .sequence = (uint16_t)(count * 40503u),
                                         .target = inet_addr(target),
                                         .source_port = (uint16_t)source_port,
                                         .target_port = (uint16_t)target_port};
        count++;
    }
    fclose(file);
}

static int ascending(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static const char *given(int words, char **word, const char *name)
{
    size_t size = strlen(name);
    for (int n = 1; n < words; n++)
        if (strncmp(word[n], name, size) == 0 && word[n][size] == '=')
            return word[n] + size + 1;
    fprintf(stderr, "%s= is missing\n", name);
    exit(2);
}

int main(int words, char **word)
{
    double seconds = atof(given(words, word, "seconds")), step;
    uint64_t begin, total, sent = 0, late = 0, worst = 0, collected = 0;
    open_side(&sides[0], given(words, word, "left"), given(words, word, "left_mac"));
    open_side(&sides[1], given(words, word, "right"), given(words, word, "right_mac"));
    read_streams(given(words, word, "streams"));
    for (int side = 0; side < 2; side++)
        for (int n = 0; n < BATCH; n++)
            memset(sides[side].frames[n], 0xd5, SIZE);
    step = 1e9 / ((double)count * RATE);
    total = (uint64_t)(seconds * count * RATE);
    room = total / (SAMPLE_MASK + 1) + 1024;
    delays = malloc(room * sizeof *delays);
    if (!delays || !count)
        fail("nothing to send");
    begin = nanoseconds(CLOCK_MONOTONIC);
    while (sent < total) {
        uint64_t now = nanoseconds(CLOCK_MONOTONIC), wall;
        uint64_t due = (uint64_t)((double)(now - begin) / step);
        if (due > total)
            due = total;
        wall = nanoseconds(CLOCK_REALTIME);
        if (due - sent > late)
            late = due - sent;
        for (int n = 0; sent < due && n < BATCH; n++) {
            struct stream *stream = &streams[sent++ % (uint64_t)count];
            struct side *side = &sides[stream->side];
            write_frame(side->frames[side->filled++], stream, wall);
        }
        flush(&sides[0]);
        flush(&sides[1]);
        if (sent == due) {
            /* As network cards gather packets before they interrupt. Without a pause, a real-time
             * policy would have us stopped for 50 ms in each second. */
            struct timespec pause = {0, 150000};
            nanosleep(&pause, NULL);
        }
        if (now - collected > 200000) {
            collected = now;
            collect(&sides[0]);
            collect(&sides[1]);
        }
    }
    for (int n = 0; n < 200; n++) {
        usleep(5000);
        collect(&sides[0]);
        collect(&sides[1]);
    }
    qsort(delays, sampled, sizeof *delays, ascending);
    worst = sampled ? delays[sampled - 1] : 0;
    printf("{\"sent\": %llu, \"sampled\": %zu, \"late\": %.3f, \"p50\": %.1f, \"p99\": %.1f,"
           " \"max\": %.1f}\n",
           (unsigned long long)sent, sampled, (double)late * step / 1e6,
           sampled ? delays[sampled / 2] / 10.0 : 0, sampled ? delays[sampled * 99 / 100] / 10.0 : 0,
           (double)worst / 10.0);
    return 0;
}
