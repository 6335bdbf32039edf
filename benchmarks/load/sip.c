#include "sip.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static EVP_MD *md5, *sha256;
static EVP_MD_CTX *context;

void sip_begin(void)
{
    srandom((unsigned)getpid()); /* or every run would make the same Call-IDs */
    md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    context = EVP_MD_CTX_new();
    if (!md5 || !sha256 || !context) {
        fprintf(stderr, "this OpenSSL has no MD5 or no SHA-256\n");
        exit(1);
    }
}

static bool names(const char *line, const char *name, char brief, const char **value)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) == 0)
        line += length;
    else if (brief && (*line | 32) == brief)
        line += 1;
    else
        return false;
    while (*line == ' ' || *line == '\t')
        line++;
    if (*line != ':')
        return false;
    for (line++; *line == ' ' || *line == '\t'; line++)
        ;
    *value = line;
    return true;
}

bool header(const char *from, const char *name, char brief, struct text *value)
{
    const char *line = from;
    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (line[0] == '\r' && line[1] == '\n')
            return false;
        if (names(line, name, brief, &value->at)) {
            const char *end = strstr(value->at, "\r\n");
            value->length = (int)(end ? end - value->at : (long)strlen(value->at));
            return true;
        }
    }
    return false;
}

int status_of(const char *message)
{
    return strncmp(message, "SIP/2.0 ", 8) == 0 ? atoi(message + 8) : 0;
}

long number_of(const char *message, const char *name, char brief, long otherwise)
{
    struct text value;
    return header(message, name, brief, &value) ? atol(value.at) : otherwise;
}

int framed(const char *buffer, int length)
{
    const char *end = strstr(buffer, "\r\n\r\n");
    if (!end)
        return length > 16000 ? -1 : 0;
    long body = number_of(buffer, "Content-Length", 'l', 0);
    long whole = (end - buffer) + 4 + body;
    return body < 0 || whole > 65536 ? -1 : whole <= length ? (int)whole : 0;
}

static bool parameter(struct text line, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    const char *end = line.at + line.length;
    for (const char *at = line.at; at + length + 1 < end; at++) {
        if (strncasecmp(at, name, length) != 0 || at[length] != '=')
            continue;
        if (at > line.at && at[-1] != ' ' && at[-1] != ',' && at[-1] != '\t')
            continue;
        at += length + 1;
        char stop = *at == '"' ? '"' : ',';
        at += *at == '"';
        size_t n = 0;
        while (at < end && *at != stop && n + 1 < size)
            out[n++] = *at++;
        out[n] = 0;
        return true;
    }
    out[0] = 0;
    return false;
}

static bool challenges(const char *message, const char *name, const struct account *account,
                       struct challenge *out)
{
    struct text line;
    char algorithm[16], qop[32], stale[8];
    for (const char *from = message; header(from, name, 0, &line); from = line.at) {
        if (!parameter(line, "algorithm", algorithm, sizeof algorithm))
            strcpy(algorithm, "MD5");
        if (strcasecmp(algorithm, account->algorithm) != 0)
            continue;
        parameter(line, "realm", out->realm, sizeof out->realm);
        parameter(line, "nonce", out->nonce, sizeof out->nonce);
        parameter(line, "opaque", out->opaque, sizeof out->opaque);
        out->qop = parameter(line, "qop", qop, sizeof qop);
        out->stale = parameter(line, "stale", stale, sizeof stale) && !strcasecmp(stale, "true");
        return true;
    }
    return false;
}

bool read_challenge(const char *message, const struct account *account, struct challenge *out)
{
    out->proxy = status_of(message) == 407;
    const char *name = out->proxy ? "Proxy-Authenticate" : "WWW-Authenticate";
    return challenges(message, name, account, out);
}

static void hash(const struct account *account, const char *text, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_DigestInit_ex2(context, strcmp(account->algorithm, "MD5") ? sha256 : md5, NULL);
    EVP_DigestUpdate(context, text, strlen(text));
    EVP_DigestFinal_ex(context, raw, &length);
    for (unsigned int i = 0; i < length; i++) {
        hex[2 * i] = digits[raw[i] >> 4];
        hex[2 * i + 1] = digits[raw[i] & 15];
    }
    hex[2 * length] = 0;
}

int answer_challenge(char *out, size_t size, const struct challenge *challenge,
                     const struct account *account, const char *method, const char *uri)
{
    char text[1024], ha1[65], ha2[65], response[65], qop[64] = "", opaque[300] = "";
    snprintf(text, sizeof text, "%s:%s:%s", account->user, challenge->realm, account->password);
    hash(account, text, ha1);
    snprintf(text, sizeof text, "%s:%s", method, uri);
    hash(account, text, ha2);
    if (challenge->qop) {
        char cnonce[16];
        snprintf(cnonce, sizeof cnonce, "%08lx", random() & 0xffffffffL);
        snprintf(text, sizeof text, "%s:%s:00000001:%s:auth:%s", ha1, challenge->nonce, cnonce,
                 ha2);
        snprintf(qop, sizeof qop, ", qop=auth, nc=00000001, cnonce=\"%s\"", cnonce);
    } else {
        snprintf(text, sizeof text, "%s:%s:%s", ha1, challenge->nonce, ha2);
    }
    hash(account, text, response);
    if (challenge->opaque[0])
        snprintf(opaque, sizeof opaque, ", opaque=\"%s\"", challenge->opaque);
    return snprintf(out, size,
                    "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "
                    "response=\"%s\", algorithm=%s%s%s\r\n",
                    challenge->proxy ? "Proxy-Authorization" : "Authorization", account->user,
                    challenge->realm, challenge->nonce, uri, response, account->algorithm, qop,
                    opaque);
}
