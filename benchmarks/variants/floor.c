/* The floor: the same library, graph and token ids, and nothing else. Prints two scores at its first answer.
 *
 * usage: floor LIBRARY GRAPH OUTPUT_NAME REPEATS ID [ID ...]
 * FLOOR_INPUTS names the graph's inputs, separated by commas. With REPEATS > 0 it then runs that many times more and prints each run's microseconds.
 * The function table is append-only by contract (onnxruntime_c_api.h), so its entries are addressed by position. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void *P;
typedef struct { P (*get)(uint32_t); const char *(*version)(void); } Base;
static P *api;
#define CALL(index, types, ...) check(((P(*) types)api[index])(__VA_ARGS__))

enum { GetErrorMessage = 2, CreateEnv = 3, CreateSession = 7, Run = 9, CreateSessionOptions = 10,
       SetSessionGraphOptimizationLevel = 23, SetIntraOpNumThreads = 24, CreateTensorWithDataAsOrtValue = 49,
       GetTensorMutableData = 51, CreateCpuMemoryInfo = 69, AddSessionConfigEntry = 130 };

static void check(P status) {
    if (status) { fprintf(stderr, "%s\n", ((const char *(*)(P))api[GetErrorMessage])(status)); exit(1); }
}

static double microseconds(void) {
    struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    P library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    Base *base = ((Base * (*)(void)) dlsym(library, "OrtGetApiBase"))();
    api = (P *)base->get(17);
    int repeats = atoi(argv[4]), count = argc - 5;
    int64_t *ids = calloc(count, 8), *mask = calloc(count, 8), *types = calloc(count, 8);
    for (int i = 0; i < count; i++) { ids[i] = atoll(argv[5 + i]); mask[i] = 1; }
    int64_t shape[2] = {1, count};
    P environment, options, session, memory, feeds[3], result = NULL;
    CALL(CreateEnv, (int, const char *, P *), 3, "floor", &environment);
    CALL(CreateSessionOptions, (P *), &options);
    CALL(SetSessionGraphOptimizationLevel, (P, int), options, 0);
    CALL(SetIntraOpNumThreads, (P, int), options, 1);
    CALL(AddSessionConfigEntry, (P, const char *, const char *), options, "session.intra_op.allow_spinning", "0");
    if (!repeats) CALL(AddSessionConfigEntry, (P, const char *, const char *), options, "session.disable_prepacking", "1");
    CALL(CreateSession, (P, const char *, P, P *), environment, argv[2], options, &session);
    CALL(CreateCpuMemoryInfo, (int, int, P *), 1, 0, &memory);
    const char *names[3], *outputs[1] = {argv[3]};
    int inputs = 0;
    for (char *name = strtok(getenv("FLOOR_INPUTS"), ","); name && inputs < 3; name = strtok(NULL, ",")) {
        int64_t *data = !strcmp(name, "input_ids") ? ids : !strcmp(name, "attention_mask") ? mask : types;
        CALL(CreateTensorWithDataAsOrtValue, (P, void *, size_t, const int64_t *, size_t, int, P *), memory, data,
             (size_t)count * 8, shape, 2, 7, &feeds[inputs]);
        names[inputs++] = name;
    }
    for (int turn = 0; turn <= repeats; turn++) {
        double start = microseconds();
        result = NULL;
        CALL(Run, (P, P, const char **, P *, size_t, const char **, size_t, P *), session, NULL, names, feeds, inputs,
             outputs, 1, &result);
        if (turn) {
            printf("%.1f\n", microseconds() - start);
        } else {
            float *scores;
            CALL(GetTensorMutableData, (P, float **), result, &scores);
            printf("%f %f\n", scores[0], scores[1]);
            fflush(stdout);
        }
    }
    return 0;
}
