#define _GNU_SOURCE
#include "callee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "link.h"
#include "sip.h"

#define PENDING 4096

struct answer {
    int fd, length;
    double due, interval;
    struct sockaddr_in to;
    char call_id[128], text[4000];
};

static struct answer *pending[PENDING];
static int count, sink_fd = -1;
static long repeated;
static const char *body;

long callee_repeated(void)
{
    return repeated;
}

void callee_begin(int epoll, int sink, const char *sdp)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)sink)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int size = 4 << 20;
    body = sdp;
    if (!sink)
        return;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sink_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setsockopt(sink_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(sink_fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("sink");
        exit(1);
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, sink_fd, &event);
}

static void transmit(int fd, const struct sockaddr_in *to, const char *text, int length)
{
    sendto(fd, text, (size_t)length, 0, (const struct sockaddr *)to, to ? sizeof *to : 0);
}

/* Copy all headers of one name. */
static int copy(char *out, size_t room, const char *message, const char *name, char brief)
{
    struct text line;
    int length = 0;
    for (const char *from = message; header(from, name, brief, &line); from = line.at)
        length += snprintf(out + length, room - (size_t)length, "%s: %.*s\r\n", name, line.length,
                           line.at);
    return length;
}

static int build(char *out, size_t size, const char *message, const char *status, bool sdp)
{
    struct text to = {"", 0};
    int n = snprintf(out, size, "SIP/2.0 %s\r\n", status);
    n += copy(out + n, size - (size_t)n, message, "Via", 'v');
    n += copy(out + n, size - (size_t)n, message, "Record-Route", 0);
    n += copy(out + n, size - (size_t)n, message, "From", 'f');
    n += copy(out + n, size - (size_t)n, message, "Call-ID", 'i');
    n += copy(out + n, size - (size_t)n, message, "CSeq", 0);
    header(message, "To", 't', &to);
    bool tagged = memmem(to.at, (size_t)to.length, ";tag=", 5) != NULL;
    n += snprintf(out + n, size - (size_t)n, "To: %.*s%s\r\n", to.length, to.at,
                  tagged ? "" : ";tag=callee");
    /* The Contact is where the request was sent to: its own request URI. */
    const char *uri = strchr(message, ' ') + 1;
    n += snprintf(out + n, size - (size_t)n, "Contact: <%.*s>\r\n", (int)strcspn(uri, " "), uri);
    return n + snprintf(out + n, size - (size_t)n, "%sContent-Length: %zu\r\n\r\n%s",
                        sdp ? "Content-Type: application/sdp\r\n" : "", sdp ? strlen(body) : 0,
                        sdp ? body : "");
}

static struct answer *find(const char *message, bool make)
{
    struct text id;
    if (!header(message, "Call-ID", 'i', &id) || id.length > 127)
        return NULL;
    for (int i = 0; i < count; i++)
        if ((int)strlen(pending[i]->call_id) == id.length &&
            !memcmp(pending[i]->call_id, id.at, (size_t)id.length))
            return pending[i];
    if (!make || count == PENDING)
        return NULL;
    struct answer *answer = calloc(1, sizeof *answer);
    snprintf(answer->call_id, sizeof answer->call_id, "%.*s", id.length, id.at);
    return pending[count++] = answer;
}

static void forget(struct answer *answer)
{
    for (int i = 0; i < count; i++) {
        if (pending[i] == answer) {
            pending[i] = pending[--count];
            free(answer);
            return;
        }
    }
}

static void ring_and_answer(int fd, const struct sockaddr_in *from, const char *message)
{
    struct answer *answer = find(message, true);
    if (!answer)
        return;
    answer->length = build(answer->text, sizeof answer->text, message, "180 Ringing", false);
    transmit(fd, from, answer->text, answer->length);
    answer->length = build(answer->text, sizeof answer->text, message, "200 OK", true);
    transmit(fd, from, answer->text, answer->length);
    answer->fd = fd;
    if (from)
        answer->to = *from;
    answer->interval = 0.5;
    answer->due = now() + answer->interval;
}

void callee_request(int fd, const struct sockaddr_in *from, const char *message)
{
    char text[4000];
    struct answer *answer;
    if (strncmp(message, "INVITE ", 7) == 0) {
        ring_and_answer(fd, from, message);
    } else if (strncmp(message, "ACK ", 4) == 0) {
        if ((answer = find(message, false)) != NULL)
            forget(answer);
    } else if (status_of(message) == 0 && strchr(message, ' ')) {
        transmit(fd, from, text, build(text, sizeof text, message, "200 OK", false));
    }
}

void callee_sink_event(void)
{
    static char message[8192];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t got =
        recvfrom(sink_fd, message, sizeof message - 1, 0, (struct sockaddr *)&from, &size);
    if (got <= 0)
        return;
    message[got] = 0;
    callee_request(sink_fd, &from, message);
}

void callee_tick(double at)
{
    for (int i = 0; i < count; i++) {
        struct answer *answer = pending[i];
        if (at < answer->due)
            continue;
        if (answer->interval > 16) {
            forget(answer);
            return;
        }
        repeated++;
        answer->interval *= 2;
        answer->due = at + (answer->interval < 4 ? answer->interval : 4);
        transmit(answer->fd, answer->to.sin_family ? &answer->to : NULL, answer->text,
                 answer->length);
    }
}
