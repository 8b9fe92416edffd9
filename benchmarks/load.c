/* A closed-loop load generator: so many connections, one request in flight on each, for so long.

   load HOST PORT CONNECTIONS SECONDS FILE    FILE holds one whole HTTP/1.1 request, which is sent over and over

   One thread on epoll; an answer costs one read, one write and a search for its length, some 3 microseconds, so that
   it is never what is measured. Printed is one JSON object: requests, seconds, answers that were not 200, and the
   percentiles of the time from writing a request to having read its answer, in microseconds. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_LIMIT = 1 << 20 };

struct connection {
    int descriptor;
    double sent;
    size_t have;
    char *answer;
};

static struct sockaddr_in address;
static char *request;
static size_t request_size;
static double *times;
static size_t count, room;
static long refused, reopened;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void dial(struct connection *c) {
    int one = 1;
    c->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (c->descriptor < 0 || connect(c->descriptor, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void ask(struct connection *c) {
    size_t done = 0;
    c->have = 0;
    c->sent = now();
    while (done < request_size) {
        ssize_t n = send(c->descriptor, request + done, request_size - done, MSG_NOSIGNAL);
        if (n < 0)
            fail("send");
        done += (size_t)n;
    }
}

/* Bytes of the whole answer; 0 where more has to come to know, SIZE_MAX where only its last bytes tell. */
static size_t whole(struct connection *c, int *closes) {
    c->answer[c->have] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - c->answer) + 4, length = 0;
    int chunked = 0;
    *closes = 0;
    for (char *line = strstr(c->answer, "\r\n"); line != NULL && line < end; line = strstr(line + 2, "\r\n")) {
        if (!strncasecmp(line + 2, "content-length:", 15))
            length = strtoul(line + 17, NULL, 10);
        else if (!strncasecmp(line + 2, "transfer-encoding: chunked", 26))
            chunked = 1;
        else if (!strncasecmp(line + 2, "connection: close", 17))
            *closes = 1;
    }
    if (chunked)
        return c->have >= head + 5 && !memcmp(c->answer + c->have - 5, "0\r\n\r\n", 5) ? c->have : 0;
    return c->have >= head + length ? head + length : 0;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double part) {
    size_t at = (size_t)(part * (double)count);
    return count ? 1e6 * times[at < count ? at : count - 1] : 0;
}

static void keep(double took) {
    if (count == room) {
        room = room ? 2 * room : 1 << 16;
        times = realloc(times, room * sizeof *times);
        if (times == NULL)
            fail("realloc");
    }
    times[count++] = took;
}

/* Read what came; ask again when the answer is whole. */
static void listen_to(struct connection *c, int poll) {
    int closes = 0;
    ssize_t n = recv(c->descriptor, c->answer + c->have, ANSWER_LIMIT - c->have - 1, 0);
    if (n <= 0) {
        fprintf(stderr, "the server hung up in the middle of an answer\n");
        exit(1);
    }
    c->have += (size_t)n;
    if (whole(c, &closes) == 0)
        return;
    keep(now() - c->sent);
    refused += strncmp(c->answer + 9, "200", 3) != 0;
    if (closes) { /* some servers close a connection after so many requests */
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        close(c->descriptor);
        dial(c);
        reopened++;
        if (epoll_ctl(poll, EPOLL_CTL_ADD, c->descriptor, &event))
            fail("epoll_ctl");
    }
    ask(c);
}

int main(int argc, char **argv) {
    if (argc != 6)
        return fprintf(stderr, "usage: load HOST PORT CONNECTIONS SECONDS FILE\n"), 2;
    FILE *file = fopen(argv[5], "rb");
    request = malloc(ANSWER_LIMIT);
    if (file == NULL || request == NULL)
        fail(argv[5]);
    request_size = fread(request, 1, ANSWER_LIMIT, file);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
        fail(argv[1]);
    size_t connections = (size_t)atoi(argv[3]);
    double seconds = atof(argv[4]);
    struct connection *all = calloc(connections, sizeof *all);
    struct epoll_event events[256];
    int poll = epoll_create1(0);
    for (size_t i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        all[i].answer = malloc(ANSWER_LIMIT);
        dial(&all[i]);
        if (epoll_ctl(poll, EPOLL_CTL_ADD, all[i].descriptor, &event))
            fail("epoll_ctl");
        ask(&all[i]);
    }
    double began = now(), last = began + seconds;
    while (now() < last) {
        int n = epoll_wait(poll, events, 256, 100);
        for (int i = 0; i < n; i++)
            listen_to(events[i].data.ptr, poll);
        if (n < 0 && errno != EINTR)
            fail("epoll_wait");
    }
    double took = now() - began;
    qsort(times, count, sizeof *times, ascending);
    printf("{\"requests\": %zu, \"seconds\": %.3f, \"refused\": %ld, \"reopened\": %ld, \"p50_us\": %.1f, "
           "\"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           count, took, refused, reopened, percentile(0.5), percentile(0.9), percentile(0.99), percentile(1));
    return 0;
}
