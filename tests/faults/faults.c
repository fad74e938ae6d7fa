/* Makes system calls on files below one folder fail; loaded into a process by LD_PRELOAD.
 *
 * FAULT_FOLDER  the folder, an absolute path
 * FAULT_CALL    open, write, fsync, rename or truncate; open is that for writing
 * FAULT_AT      the n-th such call of the process fails, and all after it, as on a disk that is full or gone
 * FAULT_ERRNO   the number of the error; or, negative, of a signal that this process gets instead, once
 *
 * FAULT_MARK    a file outside the folder that appears when a call fails
 *
 * The n-th write still writes half of its bytes. The environment is read anew at each call, so that a process can
 * fork children of different faults. Counts begin anew with FAULT_CASE.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int reached(const char* call, const char* path, int* now) {
  static char last[32];
  static int count;
  const char* folder = getenv("FAULT_FOLDER");
  const char* wanted = getenv("FAULT_CALL");
  const char* current = getenv("FAULT_CASE");
  if (!folder || !wanted || !path || strcmp(wanted, call) || strncmp(path, folder, strlen(folder))) return 0;
  if (current && strncmp(last, current, sizeof last - 1)) {
    strncpy(last, current, sizeof last - 1);
    count = 0;
  }
  const int at = atoi(getenv("FAULT_AT"));
  count = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
  *now = count == at;
  return count >= at;
}

// Whether the call fails: errors stay, but a signal comes once, and does not keep a call from its work.
static int fails(int now) {
  const int error = atoi(getenv("FAULT_ERRNO"));
  const char* mark = getenv("FAULT_MARK");
  if (error < 0 && !now) return 0;
  if (mark) close(creat(mark, 0600));
  if (error < 0) kill(getpid(), -error);
  errno = error;
  return error > 0;
}

static const char* path_of(int fd, char* buffer) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, buffer, PATH_MAX - 1);
  if (size < 0) return NULL;
  buffer[size] = 0;
  return buffer;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t size) {
  char buffer[PATH_MAX];
  int now;
  if (getenv("FAULT_CALL") && reached("write", path_of(fd, buffer), &now)) {
    const int error = atoi(getenv("FAULT_ERRNO"));
    if (now && size > 1 && (error > 0 || error == -SIGKILL)) {
      const ssize_t half = REAL(write)(fd, data, size / 2);
      if (error > 0) return half;
    }
    if (fails(now)) return -1;
  }
  return REAL(write)(fd, data, size);
}

#define ON_FILE(name, call, parameters, arguments, path)   \
  int name parameters {                                    \
    char buffer[PATH_MAX];                                 \
    int now;                                               \
    (void)buffer;                                          \
    if (getenv("FAULT_CALL") && reached(call, path, &now)) { \
      if (fails(now)) return -1;                        \
    }                                                      \
    return REAL(name) arguments;                           \
  }

ON_FILE(fsync, "fsync", (int fd), (fd), path_of(fd, buffer))
ON_FILE(fdatasync, "fsync", (int fd), (fd), path_of(fd, buffer))
ON_FILE(rename, "rename", (const char* from, const char* to), (from, to), to)
ON_FILE(renameat, "rename", (int a, const char* from, int b, const char* to), (a, from, b, to), to)
ON_FILE(ftruncate, "truncate", (int fd, off_t size), (fd, size), path_of(fd, buffer))
ON_FILE(ftruncate64, "truncate", (int fd, off64_t size), (fd, size), path_of(fd, buffer))

#define OPEN(name, parameters, arguments)                                                      \
  int name parameters {                                                                        \
    int now;                                                                                   \
    mode_t mode = 0;                                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
      va_list rest;                                                                            \
      va_start(rest, flags);                                                                   \
      mode = va_arg(rest, mode_t);                                                             \
      va_end(rest);                                                                            \
    }                                                                                          \
    if (getenv("FAULT_CALL") && (flags & O_ACCMODE) != O_RDONLY && reached("open", path, &now)) { \
      if (fails(now)) return -1;                                                            \
    }                                                                                          \
    return REAL(name) arguments;                                                               \
  }

OPEN(open, (const char* path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char* path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char* path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char* path, int flags, ...), (at, path, flags, mode))
