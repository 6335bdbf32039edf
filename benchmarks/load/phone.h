/* One simulated phone: registers with digest, retransmits as RFC 3261 asks, waits when told to. */
#ifndef PHONE_H
#define PHONE_H

#include "link.h"
#include "sip.h"

enum phone_state { IDLE, DIALLING, ASKED, ANSWERED, WAITING, REGISTERED, LEFT_OUT };

struct phone {
    struct link link;
    struct account account;
    const struct server *server;
    int number, cseq;
    enum phone_state state;
    double began, due, interval, gives_up, done;
    char call_id[40];
    char out[1400];
    int out_length;
};

/* What happened on the way, summed over all phones. */
struct tally {
    long retransmissions, told_to_wait, broken, refused;
};
extern struct tally tally;

/* Open a UDP phone's socket before the clock runs: it is there when a site's power comes back. */
void phone_prepare(struct phone *phone);

/* Begin to register; `limit` is the time at which the phone counts as left out. */
void phone_begin(struct phone *phone, double limit);

/* Go on after an epoll event on the phone's link. */
void phone_event(struct phone *phone);

/* Take one response to a REGISTER. */
void phone_response(struct phone *phone, const char *message);

/* Do what is due: retransmit, try again, give up. */
void phone_tick(struct phone *phone, double at);

bool phone_finished(const struct phone *phone);

/* `key=value` arguments of a program. */
const char *argument(int count, char **values, const char *key, const char *otherwise);

/* Name the accounts as benchmarks/site.py does: user 100000 + number. */
void phone_account(struct phone *phone, int number, const char *domain, const char *algorithm);

#endif
