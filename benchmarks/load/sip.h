/* Just enough SIP for a load generator: find headers, answer a digest challenge. */
#ifndef SIP_H
#define SIP_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    const char *at;
    int length;
};

struct account {
    char user[32];
    char password[32];
    const char *domain;
    const char *algorithm; /* "MD5" or "SHA-256": the one challenge this phone knows */
};

struct challenge {
    char realm[128], nonce[512], opaque[256];
    bool qop, stale, proxy;
};

/* Find the header `name` (or its one-letter form) after `from`; the value ends with its line. */
bool header(const char *from, const char *name, char brief, struct text *value);

/* Status of a response, 0 for a request. */
int status_of(const char *message);

/* Value of a header as a number, or `otherwise`. */
long number_of(const char *message, const char *name, char brief, long otherwise);

/* Length of the first whole message in the buffer, 0 while it is not whole, -1 if it is none. */
int framed(const char *buffer, int length);

/* Read the challenge of a 401 or 407 that `account` can answer. */
bool read_challenge(const char *message, const struct account *account, struct challenge *out);

/* Write the header line that answers a challenge; returns its length. */
int answer_challenge(char *out, size_t size, const struct challenge *challenge,
                     const struct account *account, const char *method, const char *uri);

/* Make ready the hash functions; call once. */
void sip_begin(void);

#endif
