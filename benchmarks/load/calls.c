/* Calls between registered phones: calls host=127.0.0.1 port=5060 pairs=50 calls=5000 ...
 *
 * talk=SECONDS between ACK and BYE, rate=CALLS A SECOND (0: as fast as `pairs` calls at a time go),
 * sink=PORT (callees do not register: one socket answers whatever the server sends there),
 * prefix=TEXT before the dialled number. UDP. Prints one line of JSON.
 * abnormal=N: of each N calls, one caller is gone once it is answered, one never acknowledges, one
 * cancels when it rings and one as soon as it has called; none of them says another word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "callee.h"
#include "phone.h"

#define SETUP_LIMIT 32.0

enum call_state { FREE, INVITED, CHALLENGED, TALKING, LEAVING };
enum ending { GONE, UNACKNOWLEDGED, CANCELLED, UNHEARD, NORMAL };

struct caller {
    struct phone phone;
    struct phone callee;
    enum call_state state;
    enum ending ending;
    int cseq, serial;
    double began, due, interval, gives_up;
    char call_id[64], dialled[64], target[256], to[256], routes[1024], request[4000];
    int length;
};

static struct {
    int calls, good, failed, started, timed, abnormal, abandoned;
    double talk, rate, limit, next;
    double *setup;
    const char *prefix;
    long retransmissions, statuses[800];
} run;

static const char SDP[] = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
                          "c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 8 101\r\n"
                          "a=rtpmap:101 telephone-event/8000\r\n";

static void transmit(struct caller *caller, double interval)
{
    caller->interval = interval;
    caller->due = now() + interval;
    link_send(&caller->phone.link, caller->request, caller->length);
}

static void own_address(const struct caller *caller, char *out, size_t size)
{
    unsigned address = ntohl(caller->phone.link.local.sin_addr.s_addr);
    snprintf(out, size, "%u.%u.%u.%u:%d", address >> 24, address >> 16 & 255, address >> 8 & 255,
             address & 255, ntohs(caller->phone.link.local.sin_port));
}

static void build(struct caller *caller, const char *method, const char *extra, bool body)
{
    char at[32];
    struct phone *phone = &caller->phone;
    bool dialog = caller->state >= TALKING;
    own_address(caller, at, sizeof at);
    caller->length = snprintf(
        caller->request, sizeof caller->request,
        "%s %s SIP/2.0\r\n"
        "Via: SIP/2.0/UDP %s;branch=z9hG4bK%s%d%s;rport\r\n"
        "%s"
        "From: <sip:%s@%s>;tag=%.8s\r\n"
        "To: %s\r\n"
        "Call-ID: %s\r\n"
        "CSeq: %d %s\r\n"
        "Contact: <sip:%s@%s>\r\n"
        "Max-Forwards: 70\r\n"
        "User-Agent: Holdfast benchmark\r\n"
        "%s%sContent-Length: %zu\r\n\r\n%s",
        method, dialog ? caller->target : caller->dialled, at, caller->call_id, caller->cseq,
        strcmp(method, "ACK") ? "" : dialog ? "a" : "", dialog ? caller->routes : "",
        phone->account.user, phone->account.domain, caller->call_id, caller->to, caller->call_id,
        caller->cseq, method, phone->account.user, at, extra,
        body ? "Content-Type: application/sdp\r\n" : "", body ? sizeof SDP - 1 : 0,
        body ? SDP : "");
}

static void invite(struct caller *caller, const struct challenge *challenge)
{
    char answer[1024] = "";
    caller->cseq++;
    if (challenge)
        answer_challenge(answer, sizeof answer, challenge, &caller->phone.account, "INVITE",
                         caller->dialled);
    caller->state = challenge ? CHALLENGED : INVITED;
    snprintf(caller->to, sizeof caller->to, "<%s>", caller->dialled);
    build(caller, "INVITE", answer, true);
    transmit(caller, 0.5);
}

static void begin_call(struct caller *caller)
{
    int turn = run.abnormal ? run.started % run.abnormal : NORMAL;
    caller->ending = turn < NORMAL ? (enum ending)turn : NORMAL;
    run.started++;
    caller->serial++;
    caller->cseq = 0;
    caller->began = now();
    caller->gives_up = caller->began + SETUP_LIMIT;
    snprintf(caller->call_id, sizeof caller->call_id, "%08lx-%d-%d", random(), caller->phone.number,
             caller->serial);
    snprintf(caller->dialled, sizeof caller->dialled, "sip:%s%s@%s", run.prefix,
             caller->callee.account.user, caller->phone.account.domain);
    invite(caller, NULL);
}

static void end_call(struct caller *caller, bool good, int status)
{
    caller->state = FREE;
    run.good += good;
    run.failed += !good;
    if (status > 0 && status < 800)
        run.statuses[status]++;
}

/* Forget the call and say nothing more: whatever comes for it is not answered. */
static void abandon(struct caller *caller)
{
    run.abandoned++;
    end_call(caller, true, 0);
}

static void take_routes(struct caller *caller, const char *message)
{
    struct text line;
    char all[1024] = "", one[600];
    for (const char *from = message; header(from, "Record-Route", 0, &line); from = line.at) {
        snprintf(one, sizeof one, "Route: %.*s\r\n%s", line.length, line.at, all);
        strcpy(all, one);
    }
    strcpy(caller->routes, all);
    snprintf(caller->target, sizeof caller->target, "%s", caller->dialled);
    if (header(message, "Contact", 'm', &line)) {
        const char *at = memchr(line.at, '<', (size_t)line.length);
        const char *end = at ? strchr(at, '>') : NULL;
        if (end)
            snprintf(caller->target, sizeof caller->target, "%.*s", (int)(end - at - 1), at + 1);
    }
}

static void take_to(struct caller *caller, const char *message)
{
    struct text line;
    if (header(message, "To", 't', &line))
        snprintf(caller->to, sizeof caller->to, "%.*s", line.length, line.at);
}

static void acknowledge(struct caller *caller)
{
    build(caller, "ACK", "", false);
    link_send(&caller->phone.link, caller->request, caller->length);
}

static void cancel(struct caller *caller)
{
    build(caller, "CANCEL", "", false);
    link_send(&caller->phone.link, caller->request, caller->length);
    abandon(caller);
}

static void answered(struct caller *caller, const char *message)
{
    if (caller->ending == UNACKNOWLEDGED) {
        abandon(caller);
        return;
    }
    if (caller->state != TALKING && caller->state != LEAVING)
        run.setup[run.timed++] = now() - caller->began;
    take_to(caller, message);
    take_routes(caller, message);
    caller->state = TALKING;
    acknowledge(caller);
    caller->due = now() + run.talk;
    if (caller->ending == GONE)
        abandon(caller);
}

static void leave(struct caller *caller, const struct challenge *challenge)
{
    char answer[1024] = "";
    caller->cseq++;
    if (challenge)
        answer_challenge(answer, sizeof answer, challenge, &caller->phone.account, "BYE",
                         caller->target);
    caller->state = LEAVING;
    caller->gives_up = now() + SETUP_LIMIT;
    build(caller, "BYE", answer, false);
    transmit(caller, 0.5);
}

static void invite_response(struct caller *caller, const char *message, int status)
{
    struct challenge challenge;
    bool answerable = (status == 401 || status == 407) && caller->state == INVITED;
    if (status < 200) {
        /* A provisional response may be overtaken by the final one. */
        if (caller->state == INVITED || caller->state == CHALLENGED)
            caller->due = caller->gives_up;
        if (caller->ending == CANCELLED && status > 100)
            cancel(caller);
    } else if (status < 300) {
        if (caller->state == LEAVING)
            return;
        answered(caller, message);
    } else if (caller->state == INVITED || caller->state == CHALLENGED) {
        take_to(caller, message);
        acknowledge(caller);
        if (answerable && read_challenge(message, &caller->phone.account, &challenge))
            invite(caller, &challenge);
        else
            end_call(caller, false, status);
        if (caller->ending == UNHEARD && caller->state == CHALLENGED)
            cancel(caller);
    }
}

static void response(struct caller *caller, const char *message)
{
    struct text line;
    struct challenge challenge;
    int status = status_of(message);
    if (!header(message, "Call-ID", 'i', &line) || (size_t)line.length != strlen(caller->call_id) ||
        memcmp(line.at, caller->call_id, (size_t)line.length) != 0 ||
        number_of(message, "CSeq", 0, -1) != caller->cseq || caller->state == FREE)
        return;
    if (!header(message, "CSeq", 0, &line))
        return;
    if (strncmp(line.at + line.length - 6, "INVITE", 6) == 0) {
        invite_response(caller, message, status);
    } else if (caller->state == LEAVING && status >= 200) {
        if ((status == 401 || status == 407) &&
            read_challenge(message, &caller->phone.account, &challenge))
            leave(caller, &challenge);
        else
            end_call(caller, status == 200, status);
    }
}

static void caller_tick(struct caller *caller, double at)
{
    if (caller->state == FREE || at < caller->due)
        return;
    if (caller->state == TALKING) {
        leave(caller, NULL);
    } else if (at >= caller->gives_up) {
        end_call(caller, false, 408);
    } else {
        run.retransmissions++;
        transmit(caller, caller->interval < 4 ? caller->interval * 2 : 4);
    }
}

static void caller_event(struct caller *caller)
{
    static char message[8192];
    if (link_receive(&caller->phone.link, message) <= 0)
        return;
    if (!phone_finished(&caller->phone))
        phone_response(&caller->phone, message);
    else if (status_of(message))
        response(caller, message);
}

static void callee_event(struct phone *callee)
{
    static char message[8192];
    if (link_receive(&callee->link, message) <= 0)
        return;
    if (!phone_finished(callee))
        phone_response(callee, message);
    else
        callee_request(callee->link.fd, NULL, message);
}

/* Events carry the caller's address; its callee's have the lowest bit set. */
static void dispatch(struct server *server, int patience)
{
    struct epoll_event events[256];
    int ready = epoll_wait(server->epoll, events, 256, patience);
    for (int i = 0; i < ready; i++) {
        size_t tag = (size_t)events[i].data.ptr;
        if (tag == 0)
            callee_sink_event();
        else if (tag & 1)
            callee_event(&((struct caller *)(tag - 1))->callee);
        else
            caller_event((struct caller *)tag);
    }
}

static bool register_all(struct server *server, struct caller *callers, int pairs, bool sink)
{
    double limit = now() + 40;
    for (int i = 0; i < pairs; i++) {
        phone_begin(&callers[i].phone, limit);
        if (sink)
            callers[i].callee.state = REGISTERED;
        else
            phone_begin(&callers[i].callee, limit);
        dispatch(server, 0);
    }
    for (int missing = 1; missing && now() < limit;) {
        dispatch(server, 20);
        missing = 0;
        for (int i = 0; i < pairs; i++) {
            phone_tick(&callers[i].phone, now());
            phone_tick(&callers[i].callee, now());
            missing += !phone_finished(&callers[i].phone) || !phone_finished(&callers[i].callee);
        }
        if (!missing)
            return true;
    }
    return false;
}

static void call_all(struct server *server, struct caller *callers, int pairs)
{
    double began = now(), end = began + run.limit, swept = 0;
    run.next = began;
    while (run.good + run.failed < run.calls && now() < end) {
        double at = now();
        for (int i = 0; i < pairs && run.started < run.calls && at >= run.next; i++) {
            if (callers[i].state != FREE)
                continue;
            begin_call(&callers[i]);
            if (run.rate > 0)
                run.next += 1 / run.rate;
        }
        dispatch(server, run.talk < 0.01 || run.rate > 0 ? 1 : 10);
        if (run.talk > 0 || at - swept > 0.01) {
            swept = at;
            for (int i = 0; i < pairs; i++)
                caller_tick(&callers[i], at);
            callee_tick(at);
        }
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(double seconds)
{
    int n = run.timed;
    qsort(run.setup, (size_t)n, sizeof *run.setup, ascending);
    printf("{\"answered\": %d, \"failed\": %d, \"seconds\": %.4f, \"p50\": %.6f, \"p99\": %.6f, "
           "\"retransmissions\": %ld, \"answers_repeated\": %ld, \"abandoned\": %d, "
           "\"statuses\": {",
           run.good, run.calls - run.good, seconds, n ? run.setup[n / 2] : 0,
           n ? run.setup[(int)(n * 0.99)] : 0, run.retransmissions, callee_repeated(),
           run.abandoned);
    const char *comma = "";
    for (int i = 0; i < 800; i++) {
        if (run.statuses[i]) {
            printf("%s\"%d\": %ld", comma, i, run.statuses[i]);
            comma = ", ";
        }
    }
    printf("}}\n");
    fflush(stdout);
}

int main(int count, char **values)
{
    struct server server = {0};
    int pairs = atoi(argument(count, values, "pairs", "50"));
    int sink = atoi(argument(count, values, "sink", "0"));
    const char *domain = argument(count, values, "domain", "bench.example");
    const char *algorithm = argument(count, values, "algorithm", "MD5");
    bool anonymous = sink != 0;
    char go;
    run.calls = atoi(argument(count, values, "calls", "5000"));
    run.talk = atof(argument(count, values, "talk", "0"));
    run.abnormal = atoi(argument(count, values, "abnormal", "0"));
    run.rate = atof(argument(count, values, "rate", "0"));
    run.limit = atof(argument(count, values, "limit", "60"));
    run.prefix = argument(count, values, "prefix", "");
    run.setup = calloc((size_t)run.calls + (size_t)pairs + 1, sizeof *run.setup);
    sip_begin();
    server_begin(&server, "udp", argument(count, values, "host", "127.0.0.1"),
                 atoi(argument(count, values, "port", "5060")));
    struct caller *callers = calloc((size_t)pairs, sizeof *callers);
    for (int i = 0; i < pairs; i++) {
        phone_account(&callers[i].phone, 2 * i, domain, algorithm);
        phone_account(&callers[i].callee, 2 * i + 1, domain, algorithm);
        callers[i].phone.server = callers[i].callee.server = &server;
        link_open(&callers[i].phone.link, &server, 2 * i, &callers[i]);
        link_open(&callers[i].callee.link, &server, 2 * i + 1, (char *)&callers[i] + 1);
        if (anonymous)
            callers[i].phone.state = REGISTERED;
    }
    callee_begin(server.epoll, sink, SDP);
    if (!anonymous && !register_all(&server, callers, pairs, false)) {
        fprintf(stderr, "not all phones could register\n");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    if (read(0, &go, 1) != 1)
        return 1;
    double began = now();
    call_all(&server, callers, pairs);
    report(now() - began);
    return 0;
}
