/*
 * Bends the clocks of the process that loads it (LD_PRELOAD), as the file CLOCK_FILE says, at once and while it runs.
 *
 * Debian's libfaketime cannot do this: with the monotonic clock it gives CLOCK_MONOTONIC the time of the epoch, so that a
 * futex waits for its deadline for decades; without it, it still stretches what epoll_wait waits.
 *
 * A step moves the wall clock. A rate slows both clocks, and then all that waits, waits by the slow clock. The monotonic
 * clock never jumps: when its rate is 1 again it stays behind. The wall clock is right again then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MILLION 1000000LL

/* The file. Its last field is written last, and anew for each change. */
struct orders {
	int64_t step_ns;
	int64_t rate_ppm;
	int64_t version;
};

static volatile struct orders *orders;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static long (*real_syscall)(long, ...);
static int (*real_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);

static pthread_spinlock_t lock;
/* Since `since_real`, when the monotonic clock told `since_told`, it has run at `rate_ppm`. */
static int64_t version, rate_ppm = MILLION, step_ns, since_real, since_told;

static int64_t to_ns(const struct timespec *time) { return time->tv_sec * SECOND + time->tv_nsec; }

static struct timespec to_time(int64_t ns) {
	return (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
}

static int64_t real(clockid_t clock) {
	struct timespec time;
	real_gettime(clock, &time);
	return to_ns(&time);
}

__attribute__((constructor)) static void begin(void) {
	real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
	real_syscall = dlsym(RTLD_NEXT, "syscall");
	real_nanosleep = dlsym(RTLD_NEXT, "clock_nanosleep");
	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	since_real = since_told = real(CLOCK_MONOTONIC);
	const char *path = getenv("CLOCK_FILE");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *orders, PROT_READ, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		abort();
	orders = map;
}

/* What the monotonic clock tells at that real time of it; also how far the wall clock is off, and the rate. */
static int64_t monotonic(int64_t now, int64_t *wall_off, int64_t *rate) {
	pthread_spin_lock(&lock);
	int64_t told = since_told + (now - since_real) / 1000 * rate_ppm / 1000;
	if (orders && orders->version != version) {
		since_told = told;
		since_real = now;
		version = orders->version;
		rate_ppm = orders->rate_ppm;
		step_ns = orders->step_ns;
	}
	*rate = rate_ppm;
	*wall_off = step_ns;
	if (rate_ppm != MILLION)
		*wall_off += (told - since_told) - (now - since_real);
	pthread_spin_unlock(&lock);
	return told;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
	int outcome = real_gettime(clock, time);
	if (outcome || !orders)
		return outcome;
	int64_t off, rate;
	if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME) {
		*time = to_time(monotonic(to_ns(time), &off, &rate));
	} else if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
		monotonic(real(CLOCK_MONOTONIC), &off, &rate);
		*time = to_time(to_ns(time) + off);
	}
	return 0;
}

/* How long it really takes until the slow clock has gone on by so much. */
static int64_t stretched(int64_t ns) {
	int64_t off, rate;
	monotonic(real(CLOCK_MONOTONIC), &off, &rate);
	return ns <= 0 ? 0 : (int64_t)((double)ns * MILLION / rate);
}

/* When the clock really shows that time. */
static struct timespec real_deadline(const struct timespec *deadline) {
	int64_t off, rate, now = real(CLOCK_MONOTONIC);
	int64_t left = to_ns(deadline) - monotonic(now, &off, &rate);
	return to_time(now + stretched(left));
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout) {
	if (timeout > 0)
		timeout = (stretched(timeout * MILLION) + MILLION - 1) / MILLION;
	return real_epoll_wait(epoll, events, count, timeout);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
	struct timespec until = flags & TIMER_ABSTIME ? real_deadline(time) : to_time(stretched(to_ns(time)));
	return real_nanosleep(clock, flags, &until, left);
}

int nanosleep(const struct timespec *time, struct timespec *left) {
	int error = clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
	errno = error;
	return error ? -1 : 0;
}

/* The standard library of Rust waits on futexes by this, until a time of the monotonic clock. */
long syscall(long number, ...) {
	va_list list;
	va_start(list, number);
	long a[6];
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	struct timespec until;
	if (number == SYS_futex && a[3] && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET &&
	    !(a[1] & FUTEX_CLOCK_REALTIME)) {
		until = real_deadline((const struct timespec *)a[3]);
		a[3] = (long)&until;
	}
	return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
