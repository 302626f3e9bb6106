// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must not happen: abnormal events, faults, hangs; each is an event of the operation and an
 * entry of the text that goes with the answer.
 *
 * An entry is one line of fields separated by tabs,
 *     kind, operation, file, line, cache, id, what
 * followed by lines "\tPC" of the call stack, as offsets into the program; the client knows how
 * to make lines of source of them. A line "FILE\tN\tPATH" says which file number N is.
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "h_runtime.h"

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WITH_ASAN
#endif

enum { MAX_FILES = 64, MAX_FRAMES = 24, MAX_ENTRIES = 16, MAX_LEAKS = 4, STACK_BYTES = 1 << 16, MAX_STACK = 64 << 20 };

jmp_buf rt_op_entry;
volatile int rt_in_op;

static const char *files[MAX_FILES];
static int file_count, entries, quiet;
static uintptr_t load_base, stack_low, stack_high;
static char signal_stack[STACK_BYTES];

static const char *const kinds[] = {
	[RT_EV_WARN] = "warn", [RT_EV_BUG] = "bug", [RT_EV_LOCKERR] = "lockerr",
	[RT_EV_NOLOCK] = "nolock", [RT_EV_BADFREE] = "badfree", [RT_EV_FREE_STATE] = "free_state",
	[RT_EV_FAULT] = "fault", [RT_EV_HANG] = "hang", [RT_EV_BADTREE] = "badtree",
	[RT_EV_LIMIT] = "limit", [RT_EV_BADCOUNT] = "badcount",
};

void rt_quiet(int on)
{
	quiet = on;
}

void rt_log(int kind, rt_word a, rt_word b, rt_word c)
{
	if (!rt_in_op || (quiet && kind < RT_EV_WARN))
		return;
	rt_put(kind);
	rt_put(a);
	rt_put(b);
	rt_put(c);
}

int rt_telling(void)
{
	return rt_op_now < rt_op_count && (rt_ops[rt_op_now].flags & RT_TELL);
}

void rt_tell(int topic, rt_word a, rt_word b)
{
	if (rt_telling())
		rt_log(RT_EV_TOLD, topic, a, b);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	rt_word *used = &rt_shared->header[RT_H_TEXT];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(rt_shared->text + *used, RT_TEXT_BYTES - *used, format, args);
	va_end(args);
	if (size > 0 && *used + size < RT_TEXT_BYTES)
		*used += size;
}

static int file_number(const char *file)
{
	if (!*file)
		return -1;
	for (int i = 0; i < file_count; i++)
		if (files[i] == file || !strcmp(files[i], file))
			return i;
	if (file_count == MAX_FILES)
		return -1;
	files[file_count] = file;
	say("FILE\t%d\t%s\n", file_count, file);
	return file_count++;
}

static void entry(const char *kind, const struct rt_object *object, const char *what,
		  const char *file, int line)
{
	say("%s\t%d\t%s\t%d\t%s\t%d\t%s", kind, rt_op_now, file, line,
	    object ? rt_cache_name(object->cache) : "", object ? object->id : -1, what);
	if (object && !object->live)
		say(" (freed at %s:%d)", object->freed_file, object->freed_line);
	say("\n");
}

/* `at` is where a signal interrupted the program, or null. */
static void describe(int event, const struct rt_object *object, const char *what, const char *file,
		     int line, void *at)
{
	void *frames[MAX_FRAMES];
	int count, i = 0;

	rt_shared->header[RT_H_ABNORMAL]++;
	if (++entries > MAX_ENTRIES)
		return;
	entry(kinds[event], object, what, file, line);
	count = backtrace(frames, MAX_FRAMES);
	while (at && i < count && frames[i] != at)
		i++;
	if (i < count && at) /* Not a return address: the client takes one off each. */
		frames[i] = (char *)frames[i] + 1;
	for (i = i == count ? 0 : i; i < count; i++)
		say("\t%lx\n", (unsigned long)((uintptr_t)frames[i] - load_base));
}

/* Objects that nothing will ever free. */
void rt_report_leaks(int cache)
{
	int left = MAX_LEAKS;

	for (void *at = rt_first(cache); at && left--; at = rt_after(cache, at)) {
		const struct rt_object *object = rt_find(at);

		entry("leak", object, "never freed", object->born_file, object->born_line);
	}
}

void rt_note(int event, const void *address, const char *what, const char *file, int line)
{
	const struct rt_object *object = address ? rt_find(address) : NULL;

	rt_log(event, file_number(file), line, object ? object->id : -1);
	describe(event, object, what, file, line, NULL);
}

void rt_note_from(int event, const void *address, const char *what, const void *place)
{
	const struct rt_object *object = address ? rt_find(address) : NULL;

	rt_log(event, -1, 0, object ? object->id : -1);
	rt_shared->header[RT_H_ABNORMAL]++;
	if (++entries > MAX_ENTRIES)
		return;
	entry(kinds[event], object, what, "", 0);
	say("\t%lx\n", (unsigned long)((uintptr_t)place - load_base));
}

void rt_die(int event, int code, const void *address, const char *what, const char *file, int line)
{
	rt_note(event, address, what, file, line);
	if (!rt_in_op)
		_exit(98);
	_longjmp(rt_op_entry, code);
}

static void *interrupted_at(void *context)
{
	ucontext_t *machine = context;

#if defined(__x86_64__)
	return (void *)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (void *)machine->uc_mcontext.pc;
#else
	(void)machine;
	return NULL;
#endif
}

/* In words that are the same in each run: an address would not be. */
static const char *what_happened(int signal, const siginfo_t *info, const struct rt_object *object)
{
	static char text[96];
	uintptr_t address = (uintptr_t)info->si_addr;

	if (object) {
		snprintf(text, sizeof(text), "%s, %ld bytes from its start",
			 object->live ? "access beyond an object" : "use after free",
			 (long)((char *)info->si_addr - (char *)object->address));
		return text;
	}
	if (signal != SIGSEGV && signal != SIGBUS)
		return strsignal(signal);
	if (info->si_code == SI_KERNEL || address >> 48)
		return "access through a pointer that is none, such as freed memory holds";
	if (address < 4096) {
		snprintf(text, sizeof(text), "access through a null pointer, offset %lu", (unsigned long)address);
		return text;
	}
	if (address > stack_low && address < stack_high)
		return "the stack is full: endless recursion?";
	return "access to memory that is none";
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct rt_object *object = NULL;
	void *at = interrupted_at(context);

	if (signal == SIGVTALRM) {
		if (!rt_in_op)
			_exit(97);
		rt_log(RT_EV_HANG, -1, 0, -1);
		describe(RT_EV_HANG, NULL, "the history does not come to an end", "", 0, at);
		_longjmp(rt_op_entry, RT_RC_HANG);
	}
	if (signal == SIGSEGV && info->si_code != SI_KERNEL)
		object = rt_near(info->si_addr);
	rt_log(RT_EV_FAULT, -1, 0, object ? object->id : -1);
	describe(RT_EV_FAULT, object, what_happened(signal, info, object), "", 0, at);
	if (!rt_in_op)
		_exit(98);
	_longjmp(rt_op_entry, RT_RC_FAULT);
}

#ifdef WITH_ASAN
void __asan_set_error_report_callback(void (*callback)(const char *report));
void *__asan_get_report_address(void);

/* The sanitizer names an address; which object that is only we know. */
static void on_asan_report(const char *report)
{
	const struct rt_object *object = rt_around(__asan_get_report_address());

	(void)report;
	if (object)
		entry("object", object, object->live ? "live" : "freed", object->born_file, object->born_line);
}
#endif

static int note_base(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	load_base = info->dlpi_addr; /* The program itself comes first. */
	return 1;
}

void rt_report_init(int hang_ms)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	struct itimerval limit = { .it_value = { hang_ms / 1000, hang_ms % 1000 * 1000 } };
	struct rlimit room;
	void *frame;

	if (!hang_ms) { /* in the server: once for all children */
		dl_iterate_phdr(note_base, NULL);
		backtrace(&frame, 1); /* loads what it needs now, not in a signal handler */
		getrlimit(RLIMIT_STACK, &room);
		stack_high = (uintptr_t)&frame;
		stack_low = stack_high - (room.rlim_cur > MAX_STACK ? MAX_STACK : room.rlim_cur) - (1 << 16);
#ifdef WITH_ASAN
		__asan_set_error_report_callback(on_asan_report);
#endif
		sigaction(SIGVTALRM, &action, NULL);
		if (rt_mode != RT_ASAN) {
			sigaltstack(&stack, NULL);
			for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
				sigaction(faults[i], &action, NULL);
		}
		return;
	}
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
}
