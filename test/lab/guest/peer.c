/*
 * The guest's end of vsock connections in the lab's tests.
 *
 *   peer serve PORT echo      says back what it hears, until it hears no more
 *   peer serve PORT last      says how much it heard, once it hears no more
 *   peer serve PORT sink      hears all
 *   peer serve PORT source    says all it can
 *   peer serve PORT shell     a shell on the connection
 *   peer dial PORT ask TEXT   says TEXT, prints what it hears first
 *   peer dial PORT half TEXT  says TEXT and that this is all, prints what it hears within five seconds
 *   peer dial PORT send N     says N bytes, and closes at once
 *   peer dial PORT flood S    says all it can for S seconds, prints how much that was
 *   peer dial PORT storm S    connects again and again for S seconds, prints how often it could
 *   peer dial PORT hold N     opens N connections, prints how many it could, and keeps them
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static char chunk[64 * 1024];

static void fail(const char *what) {
  printf("peer: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int open_socket(void) {
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  return fd;
}

static struct sockaddr_vm address(unsigned cid, unsigned port) {
  struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
  return a;
}

/* A connection to a port of the host's; negative where it is refused. */
static int try_dial(unsigned port) {
  struct sockaddr_vm host = address(VMADDR_CID_HOST, port);
  int fd = open_socket();
  if (connect(fd, (struct sockaddr *)&host, sizeof host) == 0) return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

static int say(int fd, const char *text, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, text, size);
    if (n <= 0) return -1;
    text += n;
    size -= n;
  }
  return 0;
}

static void talk(int fd, const char *mode) {
  unsigned long long heard = 0;
  ssize_t n;
  if (!strcmp(mode, "shell")) {
    for (int to = 0; to < 3; to++) dup2(fd, to);
    execl("/bin/sh", "sh", (char *)0);
    fail("exec");
  }
  if (!strcmp(mode, "source")) {
    while (say(fd, chunk, sizeof chunk) == 0) {}
    return;
  }
  while ((n = read(fd, chunk, sizeof chunk)) > 0) {
    heard += n;
    if (!strcmp(mode, "echo") && say(fd, chunk, n) < 0) return;
  }
  if (!strcmp(mode, "last")) {
    n = snprintf(chunk, sizeof chunk, "heard %llu\n", heard);
    say(fd, chunk, n);
    printf("peer: last heard %llu\n", heard);
  }
}

static int serve(unsigned port, const char *mode) {
  struct sockaddr_vm any = address(VMADDR_CID_ANY, port);
  int listener = open_socket();
  if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 128)) fail("listen");
  printf("peer: %s on %u\n", mode, port);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    int fd = accept(listener, 0, 0);
    if (fd < 0) fail("accept");
    if (fork() == 0) {
      close(listener);
      signal(SIGCHLD, SIG_DFL);
      talk(fd, mode);
      exit(0);
    }
    close(fd);
  }
}

static void half(int fd, const char *text) {
  struct timeval patience = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  say(fd, text, strlen(text));
  shutdown(fd, SHUT_WR);
  ssize_t n = read(fd, chunk, sizeof chunk);
  if (n < 0) printf("peer: heard nothing: %s\n", strerror(errno));
  else printf("peer: heard %zd: %.*s\n", n, (int)n, chunk);
}

static void flood(int fd, double seconds) {
  unsigned long long said = 0;
  for (double end = now() + seconds; now() < end;) {
    ssize_t n = write(fd, chunk, 4096);
    if (n <= 0) break;
    said += n;
  }
  printf("peer: flooded %llu\n", said);
}

static void storm(unsigned port, double seconds) {
  unsigned made = 0, refused = 0;
  for (double end = now() + seconds; now() < end;) {
    int fd = try_dial(port);
    if (fd < 0) refused++;
    else made++;
    if (fd >= 0) close(fd);
  }
  printf("peer: stormed %u refused %u\n", made, refused);
}

static void hold(unsigned port, int count) {
  int made = 0;
  for (int i = 0; i < count; i++) made += try_dial(port) >= 0;
  printf("peer: holding %d\n", made);
  pause();
}

static int dial(unsigned port, const char *mode, const char *word) {
  if (!strcmp(mode, "storm")) return storm(port, atof(word)), 0;
  if (!strcmp(mode, "hold")) return hold(port, atoi(word)), 0;
  int fd = try_dial(port);
  if (fd < 0) fail("dial");
  if (!strcmp(mode, "half")) half(fd, word);
  if (!strcmp(mode, "flood")) flood(fd, atof(word));
  if (!strcmp(mode, "send")) {
    for (long left = atol(word); left > 0; left -= sizeof chunk)
      if (say(fd, chunk, left < (long)sizeof chunk ? left : (long)sizeof chunk)) fail("write");
  }
  if (!strcmp(mode, "ask")) {
    say(fd, word, strlen(word));
    ssize_t n = read(fd, chunk, sizeof chunk);
    printf("peer: said %.*s\n", n > 0 ? (int)n : 0, chunk);
  }
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  memset(chunk, 'x', sizeof chunk);
  if (argc == 4 && !strcmp(argv[1], "serve")) return serve(atol(argv[2]), argv[3]);
  if (argc == 5 && !strcmp(argv[1], "dial")) return dial(atol(argv[2]), argv[3], argv[4]);
  printf("peer: see the head of peer.c\n");
  return 2;
}
