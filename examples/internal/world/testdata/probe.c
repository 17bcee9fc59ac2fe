// What the inits are asked to run, and what prepares how they are started. It
// is C, and without libc's signal functions, for those hide the signals 32 and
// 33, and the Go runtime would take over the signals itself.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long set;
#define ALL (~0ULL)

struct action { void *handler; unsigned long flags; void *restorer; set mask; };

static void dispose(int sig, void *handler) {
	struct action a = {handler, 0, 0, 0};
	syscall(SYS_rt_sigaction, sig, &a, 0, 8);
}

static void mask(set s) { syscall(SYS_rt_sigprocmask, SIG_SETMASK, &s, 0, 8); }

static void say(const char *who, int n) {
	char line[64];
	int len = snprintf(line, sizeof line, "%s %d\n", who, n);
	if (write(1, line, len) != len)
		_exit(99);
}

// receive says each signal that comes until the first of SIGALRM.
static void receive(const char *who) {
	for (set all = ALL;;) {
		char info[128];
		int sig = syscall(SYS_rt_sigtimedwait, &all, info, 0, 8);
		if (sig > 0)
			say(who, sig);
		if (sig == SIGALRM)
			_exit(0);
	}
}

// Before anything is said: a default that is to ignore discards what waits.
static void catch_all(void) {
	mask(ALL);
	for (int sig = 1; sig <= 64; sig++)
		dispose(sig, 0);
}

// state says whether a process has gone, or its letter in /proc.
static int state(pid_t pid) {
	char path[64], text[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	char *end = n > 0 ? strrchr(text, ')') : 0;
	return end ? end[2] : 0;
}

// orphan has a grandchild whose parent ends first, and says who is the parent
// then and whether somebody reaps it.
static int orphan(void) {
	int told[2], hold[2];
	if (pipe(told) || pipe(hold))
		return 99;
	pid_t child = fork();
	if (child == 0) {
		if (fork() == 0) {
			char c;
			pid_t me = getpid();
			close(hold[1]);
			if (write(told[1], &me, sizeof me) < 0 || read(hold[0], &c, 1) < 0)
				_exit(99);
			_exit(0);
		}
		_exit(0);
	}
	pid_t grandchild;
	waitpid(child, 0, 0);
	if (read(told[0], &grandchild, sizeof grandchild) != sizeof grandchild)
		return 99;
	char path[64], line[256];
	int parent = -1;
	snprintf(path, sizeof path, "/proc/%d/status", grandchild);
	for (FILE *f = fopen(path, "r"); f && fgets(line, sizeof line, f);)
		sscanf(line, "PPid: %d", &parent);
	close(hold[1]);
	for (int i = 0; i < 200; i++) {
		if (state(grandchild) == 0) {
			printf("%s, reaped\n", parent == getppid() ? "init" : "other");
			return 0;
		}
		nanosleep(&(struct timespec){0, 1000000}, 0);
	}
	printf("%s, %c\n", parent == getpid() ? "command" : parent == getppid() ? "init" : "other", state(grandchild));
	return 0;
}

int main(int argc, char **argv) {
	const char *what = argc > 1 ? argv[1] : "";
	setvbuf(stdout, 0, _IONBF, 0);
	if (!strcmp(what, "ignore") || !strcmp(what, "block")) { // and start the rest
		for (int sig = 1; *what == 'i' && sig <= 64; sig++)
			dispose(sig, SIG_IGN);
		if (*what == 'b')
			mask(ALL);
		execvp(argv[2], argv + 2);
		return 98;
	}
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "die")) {
		mask(0);
		int sig = atoi(argv[2]);
		dispose(sig, 0);
		kill(getpid(), sig);
		return 97;
	}
	if (!strcmp(what, "state")) {
		char line[256];
		for (FILE *f = fopen("/proc/self/status", "r"); f && fgets(line, sizeof line, f);)
			if (!strncmp(line, "SigIgn", 6) || !strncmp(line, "SigBlk", 6))
				fputs(line, stdout);
		return 0;
	}
	if (!strcmp(what, "listen")) {
		catch_all();
		say("ready", 0);
		receive("command");
	}
	if (!strcmp(what, "family")) { // a child in the command's group, one in a group of its own
		catch_all();
		for (int i = 0; i < 2; i++)
			if (fork() == 0) {
				if (i == 1)
					setpgid(0, 0);
				say("ready", i + 1);
				receive(i ? "stranger" : "child");
			}
		say("ready", 0);
		receive("command");
	}
	if (!strcmp(what, "orphan"))
		return orphan();
	if (!strcmp(what, "leave")) { // a process behind that holds no pipe
		if (fork() == 0) {
			close(0), close(1), close(2);
			pause();
		}
		return 7;
	}
	if (!strcmp(what, "groups")) {
		printf("%s %s\n", getpgrp() == getpid() ? "group" : "-", getsid(0) == getpid() ? "session" : "-");
		return 0;
	}
	if (!strcmp(what, "terminal")) { // signals from its keys, then lines
		catch_all();
		say("foreground", tcgetpgrp(0) == getpgrp());
		receive("command");
	}
	if (!strcmp(what, "read")) {
		char line[256];
		say("ready", 0);
		for (;;) {
			ssize_t n = read(0, line, sizeof line);
			say(n < 0 ? "errno" : "read", n < 0 ? errno : (int)n);
			if (n <= 0)
				return 0;
		}
	}
	if (!strcmp(what, "background")) { // a job that reads the terminal stops
		pid_t job = fork();
		if (job == 0) {
			char c;
			for (int sig = 1; sig <= 64; sig++)
				dispose(sig, 0);
			mask(0);
			setpgid(0, 0);
			_exit(read(0, &c, 1) < 0 ? errno : 0);
		}
		int status;
		waitpid(job, &status, WUNTRACED);
		if (WIFSTOPPED(status))
			say("stopped", WSTOPSIG(status));
		else
			say("exit", WEXITSTATUS(status));
		kill(job, SIGKILL);
		return 0;
	}
	return 96;
}
