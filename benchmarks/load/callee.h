/* The other end of a call: rings, answers at once, repeats its 200 until the ACK comes. */
#ifndef CALLEE_H
#define CALLEE_H

#include <netinet/in.h>

/* `sink`: a port on which one socket answers everything, or 0. */
void callee_begin(int epoll, int sink, const char *sdp);

/* Answer a request that came to `fd`; `from` is None for a connected socket. */
void callee_request(int fd, const struct sockaddr_in *from, const char *message);

void callee_sink_event(void);

void callee_tick(double at);

/* How often a 200 had to be sent again. */
long callee_repeated(void);

#endif
