/* Loaded before all else (LD_PRELOAD): a name looked up or an address beyond this machine is written
 * to the file WATCH_LOG and refused, so that a test that finds one has sent nothing. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void report(const char *what, const char *where) {
  char line[600];
  const char *log = getenv("PYTHON_WATCH_LOG");
  int size = snprintf(line, sizeof line, "preload %s %s\n", what, where ? where : "");
  int file = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (file >= 0) {
    if (write(file, line, (size_t)size) < 0) abort();
    close(file);
  }
}

/* An address of this machine, or a name that is one. */
static int local_name(const char *name) {
  struct in_addr four;
  struct in6_addr six;
  if (!name || !*name || !strcmp(name, "localhost")) return 1;
  if (inet_pton(AF_INET, name, &four) == 1) return four.s_addr == 0 || (ntohl(four.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, name, &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_UNSPECIFIED(&six);
  return 0;
}

static int outside(const struct sockaddr *to, char *where) {
  if (to && to->sa_family == AF_INET)
    inet_ntop(AF_INET, &((const struct sockaddr_in *)to)->sin_addr, where, 64);
  else if (to && to->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)to)->sin6_addr, where, 64);
  else
    return 0;
  return !local_name(strncmp(where, "::ffff:", 7) ? where : where + 7);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int connect(int socket, const struct sockaddr *to, socklen_t size) {
  char where[64];
  if (outside(to, where)) {
    report("connect", where);
    errno = ENETUNREACH;
    return -1;
  }
  return NEXT(connect)(socket, to, size);
}

ssize_t sendto(int socket, const void *data, size_t length, int flags, const struct sockaddr *to,
               socklen_t size) {
  char where[64];
  if (outside(to, where)) {
    report("sendto", where);
    errno = ENETUNREACH;
    return -1;
  }
  return NEXT(sendto)(socket, data, length, flags, to, size);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
  char where[64];
  if (message && outside(message->msg_name, where)) {
    report("sendmsg", where);
    errno = ENETUNREACH;
    return -1;
  }
  return NEXT(sendmsg)(socket, message, flags);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  if (!local_name(name)) {
    report("getaddrinfo", name);
    return EAI_FAIL;
  }
  return NEXT(getaddrinfo)(name, service, hints, found);
}

struct hostent *gethostbyname(const char *name) {
  if (!local_name(name)) {
    report("gethostbyname", name);
    return NULL;
  }
  return NEXT(gethostbyname)(name);
}

struct hostent *gethostbyname2(const char *name, int family) {
  if (!local_name(name)) {
    report("gethostbyname2", name);
    return NULL;
  }
  return NEXT(gethostbyname2)(name, family);
}

int gethostbyname_r(const char *name, struct hostent *result, char *buffer, size_t size,
                    struct hostent **found, int *error) {
  if (!local_name(name)) {
    report("gethostbyname_r", name);
    *found = NULL;
    *error = HOST_NOT_FOUND;
    return ENOENT;
  }
  return NEXT(gethostbyname_r)(name, result, buffer, size, found, error);
}

int res_query(const char *name, int class, int type, unsigned char *answer, int size) {
  (void)class, (void)type, (void)answer, (void)size;
  report("res_query", name);
  return -1;
}

int res_search(const char *name, int class, int type, unsigned char *answer, int size) {
  (void)class, (void)type, (void)answer, (void)size;
  report("res_search", name);
  return -1;
}
