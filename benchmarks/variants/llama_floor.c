/* llama.cpp and nothing else: loads a GGUF, reads a prompt of token ids, takes the likeliest token again and again.

   llama_floor LIBRARY BACKENDS MODEL NEW_TOKENS REPEATS ID...

   LIBRARY is libllama (or a library that has its functions), BACKENDS a folder of ggml's CPU variants or "-". Prints the
   first token as soon as it is known, then for each repeat the milliseconds of the prompt and of the new tokens. The
   library's structures of settings are taken as it fills them in itself, in a buffer larger than any of them. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct { char bytes[512]; } settings;
typedef struct { int32_t n; void *token, *embd, *pos, *n_seq, *seq, *logits; } batch;

static void *library;

static void *symbol(const char *name) {
    void *found = dlsym(library, name);
    if (!found) { fprintf(stderr, "%s is missing\n", name); exit(1); }
    return found;
}

static void quiet(int level, const char *text, void *data) { (void)level; (void)text; (void)data; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int count, char **words) {
    if (count < 7) return 2;
    library = dlopen(words[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    ((void (*)(void *, void *))symbol("llama_log_set"))((void *)quiet, 0);
    if (words[2][0] != '-') ((void (*)(const char *))symbol("ggml_backend_load_all_from_path"))(words[2]);
    void *model = ((void *(*)(const char *, settings))symbol("llama_model_load_from_file"))(
        words[3], ((settings (*)(void))symbol("llama_model_default_params"))());
    if (!model) return 1;
    void *context = ((void *(*)(void *, settings))symbol("llama_init_from_model"))(
        model, ((settings (*)(void))symbol("llama_context_default_params"))());
    ((void (*)(void *, int32_t, int32_t))symbol("llama_set_n_threads"))(context, 1, 1);
    batch (*one)(int32_t *, int32_t) = symbol("llama_batch_get_one");
    int32_t (*decode)(void *, batch) = symbol("llama_decode");
    int32_t (*sample)(void *, void *, int32_t) = symbol("llama_sampler_sample");
    void *greedy = ((void *(*)(void))symbol("llama_sampler_init_greedy"))();
    void *memory = ((void *(*)(void *))symbol("llama_get_memory"))(context);
    void (*forget)(void *, int) = symbol("llama_memory_clear");

    int new_tokens = atoi(words[4]), repeats = atoi(words[5]), length = count - 6;
    int32_t *prompt = malloc(sizeof(int32_t) * length), token;
    for (int at = 0; at < length; at++) prompt[at] = atoi(words[6 + at]);
    if (decode(context, one(prompt, length))) return 1;
    printf("%d\n", sample(greedy, context, -1));
    fflush(stdout);
    for (int turn = 0; turn < repeats; turn++) {
        forget(memory, 1);
        double start = now();
        decode(context, one(prompt, length));
        token = sample(greedy, context, -1);
        double first = now();
        for (int made = 1; made < new_tokens; made++) {
            if (decode(context, one(&token, 1))) return 1;
            token = sample(greedy, context, -1);
        }
        printf("%.3f %.3f\n", first - start, now() - first);
        fflush(stdout);
    }
    return 0;
}
