/* programs.c: `programs NAME COUNT`: what a processor computes, and what an
 * operating system costs, one at a time. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  PAGE = 4096,
  PAGES = 256,
  SIEVE = 8000000,
  NODES = 1 << 16,
  NODE_INTS = 16,
  BLOCK = 1 << 20
};

static void *take(size_t size) {
  void *at = malloc(size);

  if (!at)
    exit(1);
  return at;
}

static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static void run_fib(int n) { printf("%d\n", fib(n)); }

static void run_sieve(int rounds) {
  char *prime = take(SIEVE);
  long found = 0;

  for (int round = 0; round < rounds; round++) {
    memset(prime, 1, SIEVE);
    for (int i = 2; i * i < SIEVE; i++)
      if (prime[i])
        for (int j = i * i; j < SIEVE; j += i)
          prime[j] = 0;
    for (int i = 2; i < SIEVE; i++)
      found += prime[i];
  }
  printf("%ld\n", found);
}

static void run_matmul(int n) {
  double *a = take(sizeof *a * n * n), *b = take(sizeof *b * n * n),
         *c = take(sizeof *c * n * n);

  for (int i = 0; i < n * n; i++)
    a[i] = i % 7, b[i] = i % 5;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int k = 0; k < n; k++)
        sum += a[i * n + k] * b[k * n + j];
      c[i * n + j] = sum;
    }
  printf("%f\n", c[n + 1]);
}

/* Each step loads the address of the next. */
static void run_chase(int steps) {
  int *next = take(sizeof *next * NODES * NODE_INTS), at = 0;

  for (int i = 0; i < NODES; i++)
    next[i * NODE_INTS] = (i * 7919u + 13) % NODES;
  for (int step = 0; step < steps; step++)
    at = next[at * NODE_INTS];
  printf("%d\n", at);
}

static void run_memcpy(int rounds) {
  char *from = take(BLOCK), *to = take(BLOCK);

  memset(from, 1, BLOCK);
  for (int round = 0; round < rounds; round++) {
    memcpy(to, from, BLOCK);
    from[round % 1024] = to[round % PAGE];
  }
  printf("%d\n", to[5]);
}

static void run_syscall(int calls) {
  while (calls--)
    syscall(SYS_getppid);
}

static void run_pgfault(int rounds) {
  while (rounds--) {
    char *at = mmap(NULL, PAGE * PAGES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
      exit(1);
    for (int page = 0; page < PAGES; page++)
      at[page * PAGE] = 1;
    munmap(at, PAGE * PAGES);
  }
}

static void run_fork(int rounds) {
  while (rounds--) {
    pid_t child = fork();
    if (!child)
      _exit(0);
    waitpid(child, NULL, 0);
  }
}

static const char *self;
static void run_nothing(int unused) { (void)unused; }

static void run_exec(int rounds) {
  while (rounds--) {
    pid_t child = vfork();
    if (!child) {
      execl(self, self, "nothing", "0", (char *)NULL);
      _exit(1);
    }
    waitpid(child, NULL, 0);
  }
}

static sigjmp_buf after;
static volatile int caught;

static void on_signal(int number) {
  (void)number;
  caught++;
  siglongjmp(after, 1);
}

static void run_divzero(int rounds) {
  struct sigaction action = {.sa_handler = on_signal};
  volatile int zero = 0;

  sigaction(SIGFPE, &action, NULL);
  for (volatile int round = 0; round < rounds; round++)
    if (!sigsetjmp(after, 1))
      __asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; divl %0" ::"r"(zero)
                       : "eax", "edx", "cc");
  printf("%d\n", caught);
}

static void give(int fd) {
  if (write(fd, "x", 1) != 1)
    _exit(1);
}

static void take_one(int fd) {
  char c;

  if (read(fd, &c, 1) != 1)
    _exit(1);
}

/* Two processes in turn. */
static void run_pipe(int rounds) {
  int there[2], back[2];

  if (pipe(there) || pipe(back))
    exit(1);
  pid_t child = fork();
  for (int round = 0; round < rounds; round++) {
    if (child)
      give(there[1]), take_one(back[0]);
    else
      take_one(there[0]), give(back[1]);
  }
  if (!child)
    _exit(0);
  waitpid(child, NULL, 0);
}

static const struct {
  const char *name;
  void (*run)(int count);
} programs[] = {
    {"fib", run_fib},         {"sieve", run_sieve},   {"matmul", run_matmul},
    {"chase", run_chase},     {"memcpy", run_memcpy}, {"syscall", run_syscall},
    {"pgfault", run_pgfault}, {"fork", run_fork},     {"exec", run_exec},
    {"divzero", run_divzero}, {"pipe", run_pipe},     {"nothing", run_nothing},
};

int main(int argc, char **argv) {
  self = argv[0];
  for (size_t k = 0; argc > 2 && k < sizeof programs / sizeof *programs; k++)
    if (!strcmp(argv[1], programs[k].name)) {
      programs[k].run(atoi(argv[2]));
      return 0;
    }
  return 2;
}
