/* An avalanche of phones that register: register transport=tls host=127.0.0.1 port=5091 ...
 *
 * phones=10000 window=200 (0: all at once) limit=64 domain=D algorithm=MD5 own=127.1.0.0 (the
 * network whose addresses the phones have). Prints one line of JSON, then keeps all connections open until its standard input ends. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "phone.h"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(struct phone *phones, int count, double began)
{
    double *took = calloc((size_t)count + 1, sizeof *took);
    int good = 0;
    double last = began;
    for (int i = 0; i < count; i++) {
        if (phones[i].state != REGISTERED)
            continue;
        took[good++] = phones[i].done - phones[i].began;
        last = phones[i].done > last ? phones[i].done : last;
    }
    qsort(took, (size_t)good, sizeof *took, ascending);
    printf("{\"registered\": %d, \"left_out\": %d, \"seconds\": %.4f, \"p50\": %.6f, "
           "\"p95\": %.6f, \"p99\": %.6f, \"max\": %.6f, "
           "\"retransmissions\": %ld, \"told_to_wait\": %ld, "
           "\"broken\": %ld, \"refused\": %ld, \"client_cpu\": %.4f}\n",
           good, count - good, last - began, good ? took[good / 2] : 0,
           good ? took[(int)(good * 0.95)] : 0, good ? took[(int)(good * 0.99)] : 0,
           good ? took[good - 1] : 0, tally.retransmissions,
           tally.told_to_wait, tally.broken, tally.refused, cpu());
    fflush(stdout);
    free(took);
}

static void wait_for_end(void)
{
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
}

int main(int count, char **values)
{
    struct server server = {0};
    int total = atoi(argument(count, values, "phones", "10000"));
    int window = atoi(argument(count, values, "window", "200"));
    const char *domain = argument(count, values, "domain", "bench.example");
    const char *algorithm = argument(count, values, "algorithm", "MD5");
    sip_begin();
    server_begin(&server, argument(count, values, "transport", "udp"),
                 argument(count, values, "host", "127.0.0.1"),
                 atoi(argument(count, values, "port", "5060")));
    server.own = ntohl(inet_addr(argument(count, values, "own", "127.1.0.0")));
    struct phone *phones = calloc((size_t)total, sizeof *phones);
    for (int i = 0; i < total; i++) {
        phone_account(&phones[i], i, domain, algorithm);
        phones[i].server = &server;
        phone_prepare(&phones[i]);
    }
    double began = now(), swept = began;
    double limit = began + atof(argument(count, values, "limit", "64"));
    int started = 0, finished = 0;
    struct epoll_event events[256];
    while (finished < total && now() < limit) {
        while (started < total && (window == 0 || started - finished < window)) {
            phone_begin(&phones[started++], limit);
            /* All at once means at once; but answers must be read before our own buffers fill. */
            if (started % 64 == 0 && window == 0)
                break;
        }
        int ready = epoll_wait(server.epoll, events, 256, window == 0 && started < total ? 0 : 20);
        for (int i = 0; i < ready; i++) {
            struct phone *phone = events[i].data.ptr;
            bool before = phone_finished(phone);
            phone_event(phone);
            finished += phone_finished(phone) && !before;
        }
        double at = now();
        if (at - swept > 0.05) {
            swept = at;
            for (int i = 0; i < started; i++)
                phone_tick(&phones[i], at);
        }
    }
    report(phones, total, began);
    wait_for_end();
    return 0;
}
