/* storm.c: a thread that knows nothing of Python stops a vm, again and again or
 * once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct storm {
  void (*stop)(void *vm);
  void *vm;
  unsigned times, gap;
  _Atomic int over;
  pthread_t thread;
};

uintptr_t storm_begin(uintptr_t stop, uintptr_t vm, unsigned times,
                      unsigned gap);
void storm_end(uintptr_t storm);

static void *blow(void *arg) {
  struct storm *s = arg;

  for (unsigned k = 0; k < s->times && !s->over; k++) {
    struct timespec gap = {0, s->gap ? (k * 7919 % s->gap) * 1000L : 0};
    nanosleep(&gap, NULL);
    s->stop(s->vm);
  }
  return NULL;
}

/* `times` calls of stop(vm), less than `gap` us between them. */
uintptr_t storm_begin(uintptr_t stop, uintptr_t vm, unsigned times,
                      unsigned gap) {
  struct storm *s = calloc(1, sizeof *s);

  s->stop = (void (*)(void *))stop;
  s->vm = (void *)vm;
  s->times = times;
  s->gap = gap;
  pthread_create(&s->thread, NULL, blow, s);
  return (uintptr_t)s;
}

void storm_end(uintptr_t storm) {
  struct storm *s = (struct storm *)storm;

  s->over = 1;
  pthread_join(s->thread, NULL);
  free(s);
}
