/* One phone's way to the server: a UDP socket of its own, or a TCP or TLS connection of its own. */
#ifndef LINK_H
#define LINK_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/* Where phones listen; addresses are their own, so all of them may have the same port. */
#define PHONE_PORT 5060

enum link_state { SHUT, CONNECTING, HANDSHAKE, OPEN };

struct link {
    int fd;
    enum link_state state;
    bool datagram;
    SSL *tls;
    struct sockaddr_in local;
    int used;
    char in[6144];
};

struct server {
    const char *transport; /* udp, tcp, tls or tls12 */
    struct sockaddr_in address;
    SSL_CTX *tls;
    int epoll;
    in_addr_t own; /* network of the phones' own addresses, in host order: 127.1.0.0 */
};

double now(void);

/* Fill in a server and raise this process's limits. */
void server_begin(struct server *server, const char *transport, const char *host, int port);

/* Open from an address of its own (in the network `own`, by number); `tag` comes back with epoll events. */
bool link_open(struct link *link, const struct server *server, int number, void *tag);

/* Go on after an epoll event: 1 ready to send and receive, 0 not yet, -1 broken. */
int link_proceed(struct link *link);

/* Send a whole message; false if the connection is broken. */
bool link_send(struct link *link, const char *data, int length);

/* Next whole message, NUL-terminated in `out` (8 KiB): its length, 0 for none now, -1 broken. */
int link_receive(struct link *link, char *out);

void link_close(struct link *link);

#endif
