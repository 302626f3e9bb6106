// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver process: histories in on standard input, answers out on standard output.
 *
 *     PROGRAM MODE HANG_MS PARENT_PID        MODE: plain, guard, asan
 *
 * Each history runs in a child of its own, so that a crash costs one history; what the child
 * answered lies in memory that it shares with the server and survives it. Both have little to
 * spend: no core dumps, no files, limited processor time and memory, and they end with the process
 * that started them. The code they run is the user's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "h_runtime.h"

enum {
	MAX_OPS = 1 << 16,
	MAX_WORDS = 1 << 24, /* 128 MiB of answers */
	SPARE_WORDS = 64,
	CPU_SECONDS = 20,
};

enum rt_mode rt_mode;
struct rt_shared *rt_shared;
rt_word *rt_out, *rt_out_end;
struct rt_op *rt_ops;
int rt_op_count, rt_op_now;

static int hang_ms, in, out, report;
static pid_t server;
static rt_word *state; /* where that of the present operation begins */

/* The report of this needs room for words itself: four, of those kept back. */
void rt_too_long(void)
{
	rt_out_end += SPARE_WORDS;
	rt_die(RT_EV_LIMIT, RT_RC_LIMIT, NULL, "the answer to this history is too long", RT_HERE);
}

rt_word *rt_slot(void)
{
	rt_put(0);
	return rt_out - 1;
}

void rt_begin_state(void)
{
	state = rt_out;
}

void rt_undo_state(void)
{
	rt_out = state;
}

int rt_unguarded(void)
{
	return rt_mode != RT_PLAIN;
}

static void die(const char *what)
{
	fprintf(stderr, "anonvma driver: %s: %s\n", what, strerror(errno));
	exit(3);
}

static int read_all(void *data, size_t size)
{
	char *at = data;

	while (size) {
		ssize_t got = read(in, at, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		at += got;
		size -= got;
	}
	return 1;
}

static void write_all(const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t put = write(out, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			exit(0); /* Nobody listens any more. */
		at += put;
		size -= put;
	}
}

/* Returns the operation that comes next, or -1 if this one was cut off. */
static int run_op(int number)
{
	volatile int at = number;
	rt_word *answer = rt_out;
	struct rt_op *op = &rt_ops[at];
	rt_word hook_rc = 0;
	volatile rt_word rc;
	volatile int cut = 0;
	int code;

	rt_op_now = at;
	rt_shared->header[RT_H_AT] = at;
	rt_out += 3;
	rt_fail_mask = op->fail_mask;
	rt_attempts = 0;
	rt_in_op = 1;
	code = _setjmp(rt_op_entry);
	if (!code) {
		rt_hook_arm(at + 1 < rt_op_count ? op->hook_at : 0, op + 1);
		rc = driver_op(op);
		rt_hook_disarm();
		rt_fail_mask = 0;
		driver_walk();
	} else {
		rc = code;
		cut = 1;
	}
	rt_fail_mask = 0;
	rt_quiet(0);
	if (!cut)
		rt_locks_end_op();
	state = NULL;
	code = cut ? -1 : _setjmp(rt_op_entry);
	if (!code) {
		driver_snapshot();
	} else {
		/* There is none to be had; what there is of it already goes. */
		if (!cut)
			rc = code;
		cut = 1;
		if (state)
			rt_out = state;
		state = rt_out;
	}
	rt_in_op = 0;
	answer[0] = rc;
	answer[1] = state - answer - 3;
	answer[2] = rt_out - state;
	at++;
	if (!cut && rt_hook_ran(&hook_rc)) {
		*rt_out++ = hook_rc;
		*rt_out++ = 0;
		*rt_out++ = 0;
		at++;
	}
	rt_shared->header[RT_H_WORDS] = rt_out - rt_shared->words;
	rt_shared->header[RT_H_ANSWERED] = at;
	return cut ? -1 : at;
}

static void limit(int resource, rlim_t value)
{
	struct rlimit both = { value, value };

	setrlimit(resource, &both);
}

__attribute__((noreturn)) static void child(void)
{
	rt_word *header = rt_shared->header;
	int at = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server)
		_exit(0);
	limit(RLIMIT_CPU, CPU_SECONDS);
	rt_report_init(hang_ms);
	dup2(report, 1);
	dup2(report, 2);
	rt_in_op = 0;
	driver_start();
	while (at >= 0 && at < rt_op_count)
		at = run_op(at);
	if (at < 0) {
		header[RT_H_OUTCOME] = RT_STOPPED;
		_exit(0);
	}
	/* The clean-up is an operation without an answer: only its abnormal events are kept. */
	rt_op_now = at;
	header[RT_H_AT] = at;
	rt_ops[at] = (struct rt_op){ 0 };
	rt_in_op = 1;
	if (!_setjmp(rt_op_entry)) {
		driver_teardown();
		rt_locks_end_op();
		header[RT_H_LEAKED_VMAS] = rt_count(RT_VMA);
		header[RT_H_LEAKED_ANON_VMAS] = rt_count(RT_ANON_VMA);
		header[RT_H_LEAKED_AVCS] = rt_count(RT_AVC);
		rt_report_leaks(RT_VMA);
		rt_report_leaks(RT_ANON_VMA);
		rt_report_leaks(RT_AVC);
	}
	_exit(0);
}

static void add_report(void)
{
	rt_word *used = &rt_shared->header[RT_H_TEXT];
	ssize_t got;

	if (*used < 0 || *used >= RT_TEXT_BYTES - 8)
		return;
	got = pread(report, rt_shared->text + *used, RT_TEXT_BYTES - 8 - *used, 0);
	if (got > 0)
		*used += got;
}

static void run_history(void)
{
	rt_word *header = rt_shared->header;
	static int dirty;
	int status;
	pid_t pid;

	memset(header, 0, sizeof(rt_shared->header));
	header[RT_H_MAGIC] = RT_MAGIC;
	rt_out = rt_shared->words;
	rt_out_end = rt_out + MAX_WORDS - 2 * SPARE_WORDS;
	if (dirty && (ftruncate(report, 0) || lseek(report, 0, SEEK_SET)))
		die("report");
	dirty = 0;
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		child();
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	if (WIFSIGNALED(status)) {
		header[RT_H_OUTCOME] = RT_SIGNALLED;
		header[RT_H_CODE] = WTERMSIG(status);
		dirty = 1;
	} else if (WEXITSTATUS(status)) {
		header[RT_H_OUTCOME] = RT_EXITED;
		header[RT_H_CODE] = WEXITSTATUS(status);
		dirty = 1;
	}
	if (dirty)
		add_report();
	/* The child could write everywhere, also by mistake. */
	header[RT_H_MAGIC] = RT_MAGIC;
	if (header[RT_H_WORDS] < 0 || header[RT_H_WORDS] > MAX_WORDS || header[RT_H_TEXT] < 0 ||
	    header[RT_H_TEXT] >= RT_TEXT_BYTES || header[RT_H_OUTCOME] < 0 || header[RT_H_OUTCOME] > RT_EXITED) {
		memset(header + 1, 0, sizeof(rt_shared->header) - sizeof(header[0]));
		header[RT_H_OUTCOME] = RT_SIGNALLED;
		header[RT_H_CODE] = SIGSEGV;
	}
	while (header[RT_H_TEXT] % sizeof(rt_word))
		rt_shared->text[header[RT_H_TEXT]++] = '\0';
	/* Header, then words, then text; the client reads the sizes from the header. */
	write_all(header, sizeof(rt_shared->header));
	write_all(rt_shared->words, header[RT_H_WORDS] * sizeof(rt_word));
	write_all(rt_shared->text, header[RT_H_TEXT]);
}

static void malformed(void)
{
	rt_word header[RT_HEADER_WORDS] = { [RT_H_MAGIC] = RT_MAGIC, [RT_H_OUTCOME] = RT_MALFORMED };

	write_all(header, sizeof(header));
	exit(2);
}

int main(int count, char **args)
{
	size_t size = sizeof(struct rt_shared) + MAX_WORDS * sizeof(rt_word);
	rt_word request[2];
	int null;

	if (count != 4)
		return 2;
	rt_mode = !strcmp(args[1], "guard") ? RT_GUARD : !strcmp(args[1], "asan") ? RT_ASAN : RT_PLAIN;
	hang_ms = atoi(args[2]) > 0 ? atoi(args[2]) : 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (atoi(args[3]) && getppid() != atoi(args[3]))
		return 0; /* The client is gone already. */
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 1 << 20);
	if (rt_mode != RT_ASAN) /* whose shadow takes terabytes of address space, and little memory */
		limit(RLIMIT_AS, 4ull << 30);
	in = fcntl(0, F_DUPFD_CLOEXEC, 10);
	out = fcntl(1, F_DUPFD_CLOEXEC, 10);
	report = memfd_create("anonvma-report", MFD_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (in < 0 || out < 0 || report < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		die("descriptors");
	rt_shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	rt_ops = calloc(MAX_OPS + 1, sizeof(*rt_ops));
	if (rt_shared == MAP_FAILED || !rt_ops)
		die("memory");
	rt_objects_init();
	rt_report_init(0);
	server = getpid();
	/* Ready: which level, and which mode it really is. */
	write_all((rt_word[]){ RT_MAGIC, driver_level, rt_mode, RT_HEADER_WORDS }, 4 * sizeof(rt_word));
	while (read_all(request, sizeof(request))) {
		if (request[0] < 0 || request[0] > MAX_OPS || request[1] != request[0] * RT_OP_WORDS)
			malformed();
		rt_op_count = request[0];
		if (!read_all(rt_ops, rt_op_count * sizeof(*rt_ops)))
			break;
		run_history();
	}
	return 0;
}
