// SPDX-License-Identifier: GPL-2.0-only
/* A labelled process: it does what it is told, and compares its memory when asked. */

static int me, next_change, exec_step = -1;
static pid_t coordinator;
static unsigned int number_at[PAGES]; /* what it must read, by page */
static unsigned char protection_at[PAGES];
static struct {
	unsigned int page;
	int used, fd[2];
} pins[PINS];
static sigjmp_buf fault;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(fault, 1);
}

/* The parent has died: either as the history has it, and this is now the coordinator's child, or
 * because the coordinator is gone. */
static void on_orphan(int sig)
{
	(void)sig;
	if (getppid() != coordinator)
		_exit(0);
}

static char *address(unsigned int page)
{
	return (char *)(arena + page * page_size);
}

static long load(unsigned int page)
{
	volatile unsigned int *word = (volatile unsigned int *)address(page);

	if (sigsetjmp(fault, 1))
		return -EFAULT;
	return (long)*word;
}

static long store(unsigned int page, unsigned int number)
{
	volatile unsigned int *word = (volatile unsigned int *)address(page);

	if (sigsetjmp(fault, 1))
		return -EFAULT;
	*word = number;
	return 0;
}

static int read_whole(int fd, void *to, size_t size)
{
	ssize_t got;

	do
		got = read(fd, to, size);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)size;
}

static int write_whole(int fd, const void *from, size_t size)
{
	return write(fd, from, size) == (ssize_t)size; /* less than PIPE_BUF: whole or not at all */
}

static long returned(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* The page that an address lies in, from a call that returns one. */
static long placed(const void *at)
{
	return at == MAP_FAILED ? -errno : (long)(((uintptr_t)at - arena) / page_size);
}

static long map(const struct step *s)
{
	void *wanted = address(s->page);
	void *at = mmap(wanted, s->pages * page_size, (int)s->how,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at == MAP_FAILED || at == wanted)
		return placed(at);
	munmap(at, s->pages * page_size); /* before v4.17 the flag is unknown */
	return -EEXIST;
}

static long move(const struct step *s, int flags)
{
	size_t size = s->pages * page_size;

	flags |= MREMAP_MAYMOVE | MREMAP_FIXED;
	return placed(mremap(address(s->page), size, size, flags, address(s->how)));
}

/* A reference on the page, by putting it into a pipe without a copy. */
static long pin(const struct step *s)
{
	struct iovec one = { address(s->page), sizeof(unsigned int) };
	long number = load(s->page);
	int i = 0;

	if (s->how && (number < 0 || store(s->page, (unsigned int)number) < 0))
		return -EFAULT;
	while (pins[i].used)
		i++;
	if (pipe2(pins[i].fd, O_CLOEXEC))
		return -errno;
	if (vmsplice(pins[i].fd[1], &one, 1, 0) < 0) {
		number = -errno;
		close(pins[i].fd[0]);
		close(pins[i].fd[1]);
		return number;
	}
	pins[i].page = s->page;
	pins[i].used = 1;
	return 0;
}

static void drop(int i)
{
	close(pins[i].fd[0]);
	close(pins[i].fd[1]);
	pins[i].used = 0;
}

/* The number that is read through the reference. */
static long unpin(const struct step *s)
{
	unsigned int number;
	long ret = -ENOENT;

	for (int i = 0; i < PINS; i++) {
		if (!pins[i].used || pins[i].page != s->page)
			continue;
		ret = read_whole(pins[i].fd[0], &number, sizeof(number)) ? (long)number : -EIO;
		drop(i);
	}
	return ret;
}

/* 1 if the page went to another NUMA node. */
static long migrate(const struct step *s)
{
	void *at = address(s->page);
	long ret = -ENODEV;
	int here = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &at, NULL, &here, 0) < 0)
		return -errno;
	if (here < 0)
		return here;
	for (int node = 0; node < 64; node++) {
		int there = -1;

		if (node == here)
			continue;
		if (syscall(SYS_move_pages, 0, 1UL, &at, &node, &there, 2 /* MPOL_MF_MOVE */) >= 0) {
			if (there == node)
				return 1;
			ret = there;
		} else if (errno != ENODEV) {
			return -errno;
		}
	}
	return ret;
}

#define SWAPPED (UINT64_C(1) << 62)
#define PRESENT (UINT64_C(1) << 63)

static int pagemap(int fd, unsigned int page, uint64_t *entries, unsigned int count)
{
	size_t size = count * sizeof(*entries);
	off_t at = (off_t)((arena / page_size + page) * sizeof(*entries));

	return fd >= 0 && pread(fd, entries, size, at) == (ssize_t)size;
}

/* 1 if the page went to swap. */
static long page_out(const struct step *s)
{
	uint64_t entry = 0;
	int fd;

	if (madvise(address(s->page), page_size, MADV_PAGEOUT))
		return -errno;
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (!pagemap(fd, s->page, &entry, 1))
		entry = 0;
	close(fd);
	return (entry & SWAPPED) != 0;
}

/* The child is another label, with nothing to compare until the first change says so. */
static void become(int label)
{
	me = label;
	alarm(TIME_LIMIT + 10);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	memset(number_at, 0, sizeof(number_at));
	memset(protection_at, 0, sizeof(protection_at));
	for (int i = 0; i < PINS; i++)
		if (pins[i].used)
			drop(i);
}

static long fork_label(int child)
{
	pid_t pid = fork();

	if (pid == 0)
		become(child);
	return pid < 0 ? -errno : pid;
}

/* Another image of this program: it goes on where this one was. */
static long exec_label(int step)
{
	static char number[5][32];
	char program[] = "/proc/self/exe", option[] = "--go-on";
	char *argv[] = { program,   option,    number[0], number[1],
			 number[2], number[3], number[4], NULL };
	char *envp[] = { NULL };

	snprintf(number[0], sizeof(number[0]), "%d", me);
	snprintf(number[1], sizeof(number[1]), "%d", step);
	snprintf(number[2], sizeof(number[2]), "%lx", (unsigned long)arena);
	snprintf(number[3], sizeof(number[3]), "%d", read_all);
	snprintf(number[4], sizeof(number[4]), "%d", (int)coordinator);
	execve(program, argv, envp);
	return -errno;
}

static long perform(int step)
{
	const struct step *s = &steps[step];
	size_t size = s->pages * page_size;

	switch (s->what) {
	case MMAP:
		return map(s);
	case READ:
		return load(s->page);
	case WRITE:
		return store(s->page, s->how);
	case FORK:
		return fork_label((int)s->how);
	case EXIT:
		_exit(0);
	case EXEC:
		return exec_label(step);
	case MUNMAP:
		return returned(munmap(address(s->page), size));
	case MPROTECT:
		return returned(mprotect(address(s->page), size, (int)s->how));
	case MADVISE:
		return returned(madvise(address(s->page), size, (int)s->how));
	case MREMAP:
		return move(s, 0);
	case DONTUNMAP:
		return move(s, MREMAP_DONTUNMAP);
	case SWAP_OUT:
		return page_out(s);
	case PIN:
		return pin(s);
	case UNPIN:
		return unpin(s);
	case MIGRATE:
		return migrate(s);
	case SKIP:
		break;
	}
	return 0;
}

/* Bring what this process must have up to date with a step. */
static void expect(int step)
{
	for (; next_change < CHANGES && changes[next_change].step <= step; next_change++) {
		const struct change *c = &changes[next_change];

		if (c->process != me || c->step <= exec_step)
			continue;
		for (unsigned int i = 0; i < c->pages; i++) {
			number_at[c->page - FIRST_PAGE + i] = c->number;
			protection_at[c->page - FIRST_PAGE + i] = (unsigned char)c->protection;
		}
	}
}

static int is_mapped_so(unsigned int first, unsigned int end, int protection, struct answer *a)
{
	for (unsigned int page = first; page < end; page++) {
		if (protection_at[page - FIRST_PAGE] == protection)
			continue;
		a->verdict = OTHER_MAPPING;
		a->page = page;
		a->value = protection;
		a->expected = protection_at[page - FIRST_PAGE];
		return 0;
	}
	return 1;
}

/* Read what is in memory. A page in swap is left there and one that was never touched is not
 * touched, so that looking changes nothing; without pagemap, or with --read-all, all is read. */
static int reads_so(unsigned int first, unsigned int end, int fd, struct answer *a)
{
	uint64_t entries[512];

	for (unsigned int page = first; page < end; page++) {
		unsigned int at = (page - first) % 512, left = end - page;
		long expected = number_at[page - FIRST_PAGE];

		if (at == 0 && !pagemap(fd, page, entries, left < 512 ? left : 512))
			memset(entries, 0xff, sizeof(entries));
		if (!(entries[at] & PRESENT) && !read_all) {
			a->swapped += (entries[at] & SWAPPED) != 0;
			if (entries[at] & SWAPPED || !expected)
				continue;
		}
		a->read++;
		a->page = page;
		a->value = load(page);
		a->expected = expected;
		if (a->value != expected) {
			a->verdict = OTHER_NUMBER;
			return 0;
		}
	}
	return 1;
}

static void check(int step, struct answer *a)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long start, end, low = (unsigned long)(uintptr_t)address(FIRST_PAGE);
	unsigned long high = (unsigned long)(uintptr_t)address(LAST_PAGE + 1);
	unsigned int page = FIRST_PAGE;
	int goes_on = 0;
	char line[512], bits[5];

	expect(step);
	a->verdict = maps ? FINE : NO_PROC;
	while (a->verdict == FINE && fgets(line, sizeof(line), maps)) {
		int is_rest = goes_on;

		goes_on = !strchr(line, '\n'); /* a long path */
		if (is_rest || sscanf(line, "%lx-%lx %4s", &start, &end, bits) != 3)
			continue;
		if (end <= low || start >= high)
			continue;
		unsigned int first = (unsigned int)(((start > low ? start : low) - arena) / page_size);
		unsigned int last = (unsigned int)(((end < high ? end : high) - arena) / page_size);
		int protection = (bits[0] == 'r' ? PROT_READ : 0) | (bits[1] == 'w' ? PROT_WRITE : 0);

		if (is_mapped_so(page, first, 0, a) && is_mapped_so(first, last, protection, a))
			reads_so(first, last, fd, a);
		page = last;
	}
	if (a->verdict == FINE)
		is_mapped_so(page, LAST_PAGE + 1, 0, a);
	if (maps)
		fclose(maps);
	if (fd >= 0)
		close(fd);
}

static _Noreturn void serve(void)
{
	struct order order;

	signal(SIGUSR1, on_orphan);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	for (;;) {
		struct answer a = { 0 };

		/* The end of the pipe is the end of the coordinator. */
		if (!read_whole(FIRST_ORDERS + 2 * labels[me].pipe, &order, sizeof(order)))
			_exit(0);
		if (order.what == DO)
			a.value = perform(order.arg);
		else if (order.what == CHECK)
			check(order.arg, &a);
		else
			a.value = returned(waitpid(order.arg, NULL, 0));
		a.who = me; /* after a fork, the child's */
		if (!write_whole(ANSWERS_IN, &a, sizeof(a)))
			_exit(0);
	}
}
