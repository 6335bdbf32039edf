#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sip.h"

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void server_begin(struct server *server, const char *transport, const char *host, int port)
{
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    server->transport = transport;
    server->own = 0x7f010000u;
    server->address.sin_family = AF_INET;
    server->address.sin_port = htons((uint16_t)port);
    server->epoll = epoll_create1(0);
    if (inet_pton(AF_INET, host, &server->address.sin_addr) != 1 || server->epoll < 0) {
        fprintf(stderr, "bad address %s\n", host);
        exit(1);
    }
    if (strncmp(transport, "tls", 3) == 0) {
        server->tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(server->tls, TLS1_2_VERSION);
        if (strcmp(transport, "tls12") == 0)
            SSL_CTX_set_max_proto_version(server->tls, TLS1_2_VERSION);
        /* The client's own checking of the certificate is not the server's work. */
        SSL_CTX_set_verify(server->tls, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_mode(server->tls, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(server->tls, SSL_SESS_CACHE_OFF);
    }
}

static bool bind_own_address(struct link *link, const struct server *server, int number)
{
    int yes = 1;
    link->local.sin_family = AF_INET;
    link->local.sin_port = link->datagram ? htons(PHONE_PORT) : 0;
    link->local.sin_addr.s_addr =
        htonl(server->own | ((unsigned)(number / 250) << 8) | (unsigned)(number % 250 + 1));
    setsockopt(link->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(link->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    return bind(link->fd, (struct sockaddr *)&link->local, sizeof link->local) == 0;
}

bool link_open(struct link *link, const struct server *server, int number, void *tag)
{
    bool datagram = strcmp(server->transport, "udp") == 0;
    int yes = 1;
    socklen_t size = sizeof link->local;
    link->datagram = datagram;
    link->fd = socket(AF_INET, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
    if (link->fd < 0 || !bind_own_address(link, server, number)) {
        perror("socket");
        exit(1);
    }
    link->used = 0;
    link->tls = NULL;
    if (!datagram)
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(link->fd, (struct sockaddr *)&server->address, sizeof server->address) != 0 &&
        errno != EINPROGRESS) {
        link_close(link);
        return false;
    }
    getsockname(link->fd, (struct sockaddr *)&link->local, &size);
    link->state = datagram ? OPEN : CONNECTING;
    if (server->tls) {
        link->tls = SSL_new(server->tls);
        SSL_set_fd(link->tls, link->fd);
        SSL_set_connect_state(link->tls);
    }
    struct epoll_event event = {.data.ptr = tag};
    event.events = datagram ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLET;
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, link->fd, &event) == 0;
}

static int connected(struct link *link)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        return -1;
    struct sockaddr_in peer;
    size = sizeof peer;
    if (getpeername(link->fd, (struct sockaddr *)&peer, &size) != 0)
        return 0;
    link->state = link->tls ? HANDSHAKE : OPEN;
    return 1;
}

int link_proceed(struct link *link)
{
    if (link->state == CONNECTING) {
        int done = connected(link);
        if (done != 1)
            return done;
    }
    if (link->state == HANDSHAKE) {
        int done = SSL_do_handshake(link->tls);
        if (done != 1) {
            int why = SSL_get_error(link->tls, done);
            return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
        }
        link->state = OPEN;
    }
    return link->state == OPEN ? 1 : -1;
}

bool link_send(struct link *link, const char *data, int length)
{
    if (link->tls)
        return SSL_write(link->tls, data, length) == length;
    ssize_t sent = send(link->fd, data, (size_t)length, MSG_NOSIGNAL);
    return sent == length || (sent < 0 && (errno == ENOBUFS || errno == ECONNREFUSED));
}

static int read_some(struct link *link, char *to, int room)
{
    if (!link->tls) {
        ssize_t got = recv(link->fd, to, (size_t)room, 0);
        if (got < 0)
            return errno == EAGAIN || errno == ECONNREFUSED ? 0 : -1;
        return got == 0 ? -1 : (int)got;
    }
    int got = SSL_read(link->tls, to, room);
    if (got > 0)
        return got;
    int why = SSL_get_error(link->tls, got);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int take_framed(struct link *link, char *out)
{
    while (link->used >= 2 && memcmp(link->in, "\r\n", 2) == 0) {
        link->used -= 2;
        memmove(link->in, link->in + 2, (size_t)link->used);
    }
    link->in[link->used] = 0;
    int whole = link->used ? framed(link->in, link->used) : 0;
    if (whole > 0) {
        memcpy(out, link->in, (size_t)whole);
        out[whole] = 0;
        link->used -= whole;
        memmove(link->in, link->in + whole, (size_t)link->used);
    }
    return whole;
}

int link_receive(struct link *link, char *out)
{
    if (link->datagram) {
        int got = read_some(link, out, 8000);
        if (got > 0)
            out[got] = 0;
        return got;
    }
    for (;;) {
        int whole = take_framed(link, out);
        if (whole != 0)
            return whole;
        int room = (int)sizeof link->in - 1 - link->used;
        int got = room > 0 ? read_some(link, link->in + link->used, room) : -1;
        if (got <= 0)
            return got;
        link->used += got;
    }
}

void link_close(struct link *link)
{
    struct linger abort = {1, 0};
    if (link->tls)
        SSL_free(link->tls);
    if (link->fd >= 0) {
        /* A reset leaves no TIME_WAIT, so that the next run finds its ports free. */
        setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
        close(link->fd);
    }
    link->tls = NULL;
    link->fd = -1;
    link->state = SHUT;
}
