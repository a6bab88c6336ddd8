// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the frequency in kHz of what an x86 guest sees as its time stamp
 * counter: without KVM QEMU shows it the host's. Linux would measure it at boot
 * against an emulated timer, and on a busy host find anything from a thirtieth
 * of it upwards; then time in the guest runs that much faster.
 *
 * Prints nothing where the host is no x86: there the guest has to measure.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Counter and clock at one moment: the closest of some tries */
static void sample(uint64_t *tsc, int64_t *ns)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 100; i++) {
		int64_t before = now();
		uint64_t t = __rdtsc();
		int64_t after = now();

		if (after - before < best) {
			best = after - before;
			*tsc = t;
			*ns = before + (after - before) / 2;
		}
	}
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	uint64_t tsc1, tsc2;
	int64_t ns1, ns2;

	sample(&tsc1, &ns1);
	nanosleep(&pause, NULL);
	sample(&tsc2, &ns2);
	printf("%" PRIu64 "\n", (tsc2 - tsc1) * 1000000 / (uint64_t)(ns2 - ns1));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
