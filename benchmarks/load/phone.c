#include "phone.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T1 0.5
#define T2 4.0
#define TIMER_F (64 * T1)

struct tally tally;

const char *argument(int count, char **values, const char *key, const char *otherwise)
{
    size_t length = strlen(key);
    for (int i = 1; i < count; i++)
        if (strncmp(values[i], key, length) == 0 && values[i][length] == '=')
            return values[i] + length + 1;
    return otherwise;
}

void phone_account(struct phone *phone, int number, const char *domain, const char *algorithm)
{
    phone->number = number;
    phone->link.fd = -1;
    phone->state = IDLE;
    snprintf(phone->account.user, sizeof phone->account.user, "%d", 100000 + number);
    snprintf(phone->account.password, sizeof phone->account.password, "secret-%d", 100000 + number);
    snprintf(phone->call_id, sizeof phone->call_id, "%08lx%08lx", random(), random());
    phone->account.domain = domain;
    phone->account.algorithm = algorithm;
}

bool phone_finished(const struct phone *phone)
{
    return phone->state == REGISTERED || phone->state == LEFT_OUT;
}

static void transmit(struct phone *phone)
{
    if (!link_send(&phone->link, phone->out, phone->out_length)) {
        tally.broken++;
        link_close(&phone->link);
        phone->state = WAITING;
        phone->due = now() + 1.0;
    }
}

static void ask(struct phone *phone, const struct challenge *challenge)
{
    const char *transport = phone->link.tls ? "TLS" : phone->link.datagram ? "UDP" : "TCP";
    const char *scheme = phone->link.tls        ? ";transport=tls"
                         : phone->link.datagram ? ""
                                                : ";transport=tcp";
    char host[INET_ADDRSTRLEN], uri[96], answer[1024] = "";
    int port = ntohs(phone->link.local.sin_port);
    inet_ntop(AF_INET, &phone->link.local.sin_addr, host, sizeof host);
    snprintf(uri, sizeof uri, "sip:%s", phone->account.domain);
    if (challenge)
        answer_challenge(answer, sizeof answer, challenge, &phone->account, "REGISTER", uri);
    phone->cseq++;
    phone->out_length = snprintf(
        phone->out, sizeof phone->out,
        "REGISTER %s SIP/2.0\r\n"
        "Via: SIP/2.0/%s %s:%d;branch=z9hG4bK%s%d;rport\r\n"
        "From: <sip:%s@%s>;tag=%.8s\r\n"
        "To: <sip:%s@%s>\r\n"
        "Call-ID: %s\r\n"
        "CSeq: %d REGISTER\r\n"
        "Contact: <sip:%s@%s:%d%s>\r\n"
        "Max-Forwards: 70\r\n"
        "Expires: 3600\r\n"
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
        "User-Agent: Holdfast benchmark\r\n"
        "%sContent-Length: 0\r\n\r\n",
        uri, transport, host, port, phone->call_id, phone->cseq, phone->account.user,
        phone->account.domain, phone->call_id, phone->account.user, phone->account.domain,
        phone->call_id, phone->cseq, phone->account.user, host, PHONE_PORT, scheme, answer);
    double at = now();
    phone->interval = phone->link.datagram ? T1 : TIMER_F;
    phone->due = at + phone->interval;
    phone->gives_up = at + TIMER_F;
    phone->state = challenge ? ANSWERED : ASKED;
    transmit(phone);
}

static void retry(struct phone *phone, double delay)
{
    if (!phone->link.datagram && phone->link.state != OPEN)
        link_close(&phone->link);
    phone->state = WAITING;
    phone->due = now() + delay;
}

static void dial(struct phone *phone)
{
    phone->state = DIALLING;
    phone->due = now() + TIMER_F;
    if (phone->link.state == OPEN) {
        ask(phone, NULL);
    } else if (!link_open(&phone->link, phone->server, phone->number, phone)) {
        tally.broken++;
        retry(phone, 1.0);
    } else if (phone->link.datagram) {
        ask(phone, NULL);
    }
}

void phone_prepare(struct phone *phone)
{
    if (strcmp(phone->server->transport, "udp") == 0)
        link_open(&phone->link, phone->server, phone->number, phone);
}

void phone_begin(struct phone *phone, double limit)
{
    phone->began = now();
    phone->done = limit;
    dial(phone);
}

void phone_response(struct phone *phone, const char *message)
{
    struct challenge challenge;
    int status = status_of(message);
    if (phone->state != ASKED && phone->state != ANSWERED)
        return;
    if (number_of(message, "CSeq", 0, -1) != phone->cseq || status < 200)
        return;
    if (status == 200) {
        phone->state = REGISTERED;
        phone->done = now();
    } else if ((status == 401 || status == 407) &&
               read_challenge(message, &phone->account, &challenge) &&
               (phone->state == ASKED || challenge.stale)) {
        ask(phone, &challenge);
    } else if (status == 503 || status == 500) {
        tally.told_to_wait++;
        retry(phone, (double)number_of(message, "Retry-After", 0, 1));
    } else {
        tally.refused++;
        retry(phone, 5.0);
    }
}

static void receive(struct phone *phone)
{
    static char message[8192];
    for (;;) {
        int length = link_receive(&phone->link, message);
        if (length < 0 && phone->state != REGISTERED) {
            tally.broken++;
            link_close(&phone->link);
            retry(phone, 1.0);
        }
        if (length <= 0)
            return;
        phone_response(phone, message);
        if (phone->link.datagram || phone->link.state != OPEN)
            return;
    }
}

void phone_event(struct phone *phone)
{
    if (phone->link.state == SHUT)
        return;
    int ready = link_proceed(&phone->link);
    if (ready < 0) {
        tally.broken++;
        link_close(&phone->link);
        retry(phone, 1.0);
    } else if (ready > 0) {
        if (phone->state == DIALLING)
            ask(phone, NULL);
        if (phone->link.state == OPEN)
            receive(phone);
    }
}

void phone_tick(struct phone *phone, double at)
{
    if (phone->state == IDLE || phone_finished(phone) || at < phone->due)
        return;
    if (phone->state == WAITING) {
        if (phone->link.state == OPEN)
            ask(phone, NULL);
        else
            dial(phone);
    } else if (phone->state == DIALLING || at >= phone->gives_up) {
        tally.broken++;
        link_close(&phone->link);
        retry(phone, 0.0);
    } else {
        tally.retransmissions++;
        phone->interval = phone->interval * 2 < T2 ? phone->interval * 2 : T2;
        phone->due = at + phone->interval;
        transmit(phone);
    }
}
