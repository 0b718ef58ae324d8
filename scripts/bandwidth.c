// How fast this machine reads memory right now: the ceiling of decoding. `bandwidth THREADS [MILLISECONDS]` prints GB/s.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MOST = 64 };
static const size_t BYTES = (size_t)512 << 20;
static const uint64_t *memory;
static pthread_barrier_t gate;
static int threads, rounds;
static volatile uint64_t sink;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef uint64_t vector __attribute__((vector_size(64)));

// Eight sums at once, so that the additions do not wait for each other.
static uint64_t sum(const uint64_t *from, size_t words) {
    const vector *v = (const vector *)from;
    vector t[8] = {{0}};
    for (size_t i = 0; i < words / 8; i += 8)
        for (int j = 0; j < 8; j++) t[j] += v[i + (size_t)j];
    for (int j = 1; j < 8; j++) t[0] += t[j];
    return t[0][0] + t[0][7];
}

static double best;
static void *reader(void *argument) {
    size_t me = (size_t)(intptr_t)argument, words = BYTES / 8 / (size_t)threads & ~(size_t)63;
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&gate);
        double start = now();
        sink += sum(memory + me * words, words);
        pthread_barrier_wait(&gate);
        double rate = (double)(words * 8 * (size_t)threads) / (now() - start) * 1e-9;
        if (me == 0 && round > 0 && rate > best) best = rate;
    }
    return 0;
}

int main(int count, char **words) {
    threads = count > 1 ? atoi(words[1]) : 2;
    rounds = count > 2 ? atoi(words[2]) / 10 + 2 : 20;
    if (threads < 1 || threads > MOST) return 2;
    void *place = mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return 2;
    madvise(place, BYTES, MADV_HUGEPAGE);
    memset(place, 1, BYTES);
    memory = place;
    pthread_barrier_init(&gate, 0, (unsigned)threads);
    pthread_t pool[MOST];
    for (int i = 0; i < threads; i++)
        if (pthread_create(&pool[i], 0, reader, (void *)(intptr_t)i)) return 2;
    for (int i = 0; i < threads; i++) pthread_join(pool[i], 0);
    printf("%.1f\n", best);
    return 0;
}
