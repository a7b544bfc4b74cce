/*
 * Preloaded into a process that is measured: counts its flushes, and makes each take longer when asked.
 * SHOULI_BENCH_FLUSH_FAILS: while a file of this name exists, each fails with EIO, as on a disk that is dying.
 * SHOULI_BENCH_FLUSHES: a file whose first 8 bytes are the count. SHOULI_BENCH_FLUSH_DELAY_US: microseconds added to each.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *count;
static long delay_us;
static const char *fails;

__attribute__((constructor)) static void prepare(void) {
  const char *file = getenv("SHOULI_BENCH_FLUSHES");
  const char *delay = getenv("SHOULI_BENCH_FLUSH_DELAY_US");
  fails = getenv("SHOULI_BENCH_FLUSH_FAILS");
  delay_us = delay ? atol(delay) : 0;
  int fd = file ? open(file, O_RDWR) : -1;
  if (fd < 0) return;
  void *page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page != MAP_FAILED) count = page;
  close(fd);
}

static int flush(const char *name, int fd) {
  if (fails && access(fails, F_OK) == 0) {
    errno = EIO;
    return -1;
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int result = real(fd);
  if (delay_us > 0) {
    struct timespec pause = {delay_us / 1000000, (delay_us % 1000000) * 1000};
    nanosleep(&pause, NULL);
  }
  if (count) atomic_fetch_add(count, 1);
  return result;
}

int fsync(int fd) { return flush("fsync", fd); }
int fdatasync(int fd) { return flush("fdatasync", fd); }
