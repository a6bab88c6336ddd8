// SPDX-License-Identifier: GPL-2.0
/*
 * Follows the console of a guest: writes it to a log, and says how the guest ended.
 *
 *   watch LOG READY START END MAX FAULTS RUN <console
 *
 *   LOG		file that the lines are added to
 *   READY	what ends it: "done", or "ready", see init.c
 *   START	seconds until the guest's init has to start the test, at most END
 *   END	seconds until all has to be over
 *   MAX	bytes that the guest may write
 *   FAULTS	error lines of an IOMMU that it may write
 *   RUN	such lines in a row, with nothing of anybody else in between
 *
 * Prints one word: off (READY was seen), timeout, flood (too much of something), stuck
 * (the kernel says that it hangs), or dead (the console was closed).
 *
 * A program of its own because a serial port hands over one character at a time, for which
 * a shell needs several system calls: half of the time that a guest takes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS		1000000L
/* What follows within a second tells where the kernel hangs */
#define STUCK_MS	1000

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / MS;
}

static void fail(const char *what)
{
	fprintf(stderr, "watch: %s: %s\n", what, strerror(errno));
	exit(2);
}

struct watch {
	FILE *log;
	char ready[32];
	long long end, deadline;
	long max, faults_max, run_max;
	long size, faults, run;
	const char *ended;
};

static bool hangs(const char *line)
{
	static const char * const signs[] = {
		"Kernel panic - not syncing", "soft lockup", "detected stall",
		"detected expedited stall", "blocked for more than",
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (strstr(line, signs[i]))
			return true;
	return false;
}

static bool ends_with(const char *line, const char *end)
{
	size_t n = strlen(line), m = strlen(end);

	return n >= m && !strcmp(line + n - m, end);
}

/* Returns whether that was the last line to wait for */
static bool look_at(struct watch *w, char *line)
{
	size_t len = strlen(line);

	if (len && line[len - 1] == '\r')
		line[--len] = 0;
	fprintf(w->log, "%s\n", line);
	w->size += len + 1;

	if (strstr(line, "vm: start ")) {
		w->deadline = w->end;
	} else if (ends_with(line, w->ready)) {
		w->ended = "off";
		return true;
	} else if (hangs(line)) {
		if (strcmp(w->ended, "stuck")) {
			w->ended = "stuck";
			w->deadline = now_ms() + STUCK_MS;
		}
	} else if (strstr(line, "] # ")) {
		/* What a test repeats of the log */
		w->run = 0;
	} else if (strstr(line, "CMDQ error") ||
		   strstr(line, "detected Invalidation Time-out Error")) {
		w->faults++;
		w->run++;
	} else if (!strstr(line, "DMAR: ") && !strstr(line, "arm-smmu")) {
		w->run = 0;
	}
	if (w->size > w->max || w->faults > w->faults_max || w->run > w->run_max) {
		w->ended = "flood";
		return true;
	}
	return false;
}

static void follow(struct watch *w)
{
	/* A reader that is woken for each character costs the guest more than the character */
	const struct timespec nap = { .tv_nsec = 2 * MS };
	static char buf[1 << 16];
	size_t have = 0;

	for (;;) {
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		long long left = w->deadline - now_ms();
		char *line = buf, *end, *nl, *next;
		ssize_t n;

		if (left <= 0) {
			/* A line without an end may say where it hangs */
			if (have)
				fprintf(w->log, "%.*s\n", (int)have, buf);
			return;
		}
		n = poll(&p, 1, left);
		if (n < 0 && errno != EINTR)
			fail("poll");
		if (n <= 0)
			continue;
		nanosleep(&nap, NULL);
		n = read(STDIN_FILENO, buf + have, sizeof(buf) - 1 - have);
		if (n < 0)
			fail("console");
		if (!n) {
			buf[have] = 0;
			if (have)
				look_at(w, buf);
			if (strcmp(w->ended, "off"))
				w->ended = "dead";
			return;
		}
		/* Nothing that is looked for has a zero in it */
		for (char *c = buf + have; c < buf + have + n; c++)
			if (!*c)
				*c = '?';
		end = buf + have + n;
		*end = 0;
		while (line < end) {
			nl = memchr(line, '\n', end - line);
			if (!nl && (line > buf || end < buf + sizeof(buf) - 1))
				break;
			next = nl ? nl + 1 : end;
			if (nl)
				*nl = 0;
			if (look_at(w, line)) {
				/* Whoever reads on has no other way to what is here */
				if (!strcmp(w->ended, "off"))
					fwrite(next, 1, end - next, w->log);
				return;
			}
			line = next;
		}
		have = end - line;
		memmove(buf, line, have);
	}
}

int main(int argc, char **argv)
{
	struct watch w = { .ended = "timeout" };

	if (argc != 8) {
		fprintf(stderr, "usage: watch LOG READY START END MAX FAULTS RUN\n");
		return 2;
	}
	w.log = fopen(argv[1], "a");
	if (!w.log)
		fail(argv[1]);
	snprintf(w.ready, sizeof(w.ready), "vm: %s", argv[2]);
	w.deadline = now_ms() + atol(argv[3]) * 1000;
	w.end = now_ms() + atol(argv[4]) * 1000;
	w.max = atol(argv[5]);
	w.faults_max = atol(argv[6]);
	w.run_max = atol(argv[7]);
	follow(&w);
	if (fclose(w.log))
		fail(argv[1]);
	puts(w.ended);
	return 0;
}
