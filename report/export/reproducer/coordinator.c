// SPDX-License-Identifier: GPL-2.0-only
/* The coordinator: the first process, which gives the orders and touches no page itself. */

static pid_t pids[LABELS];
static int parents[LABELS];
static int quiet;

static void end_all(void)
{
	for (int i = 0; i < PIPES; i++)
		close(FIRST_ORDERS + 2 * i + 1);
	for (int i = 0; i < LABELS; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static void on_end(int sig)
{
	static const char late[] = "cannot run: it took longer than the time limit\n";
	static const char told[] = "cannot run: stopped by a signal\n";
	ssize_t done;

	if (sig == SIGALRM)
		done = write(STDERR_FILENO, late, sizeof(late) - 1);
	else
		done = write(STDERR_FILENO, told, sizeof(told) - 1);
	(void)done;
	end_all();
	_exit(2);
}

static _Noreturn void leave(int code)
{
	fflush(stdout);
	end_all();
	exit(code);
}

static _Noreturn void cannot(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "cannot run: %s: %s\n", what, strerror(errno));
	leave(2);
}

static const char *shown(long value)
{
	static const struct {
		int number;
		const char *name;
	} known[] = {
		{ EAGAIN, "-EAGAIN" }, { ENOMEM, "-ENOMEM" }, { EFAULT, "-EFAULT" },
		{ EEXIST, "-EEXIST" }, { EINVAL, "-EINVAL" }, { EPERM, "-EPERM" },
		{ EACCES, "-EACCES" }, { EBUSY, "-EBUSY" },   { ENODEV, "-ENODEV" },
		{ ENOENT, "-ENOENT" }, { ENOSYS, "-ENOSYS" },
	};
	static char text[2][32];
	static int which;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (value == -known[i].number)
			return known[i].name;
	which = !which;
	snprintf(text[which], sizeof(text[which]), "%ld", value);
	return text[which];
}

static const char *mapping(long protection)
{
	return protection == RW ? "mapped rw-" : protection == RO ? "mapped r--" :
	       protection ? "mapped otherwise" : "not mapped";
}

static void tell(int to, int what, int arg)
{
	struct order order = { what, arg };

	if (!write_whole(FIRST_ORDERS + 2 * labels[to].pipe + 1, &order, sizeof(order)))
		cannot("a process does not take orders");
}

static struct answer hear(int step, int from)
{
	struct pollfd one = { ANSWERS_OUT, POLLIN, 0 };
	struct answer a;

	if (poll(&one, 1, PATIENCE) != 1) {
		printf("step %d: %s gives no answer\n", step, labels[from].name);
		leave(1);
	}
	if (!read_whole(ANSWERS_OUT, &a, sizeof(a)))
		cannot("answers cannot be read");
	return a;
}

static long reap(int step, int who)
{
	int status = 0, parent = parents[who];
	long value;

	if (parent == COORDINATOR) {
		value = returned(waitpid(pids[who], &status, 0));
	} else {
		tell(parent, REAP, pids[who]);
		value = hear(step, parent).value;
	}
	value = value < 0 ? value : value == pids[who] ? status : -ECHILD;
	pids[who] = 0;
	for (int i = 0; i < LABELS; i++)
		if (parents[i] == who)
			parents[i] = COORDINATOR;
	return value;
}

static long order_step(int step)
{
	const struct step *s = &steps[step];
	struct answer a;

	tell(s->by, DO, step);
	if (s->what == EXIT)
		return reap(step, s->by);
	a = hear(step, s->by);
	if (s->what != FORK || a.value < 0)
		return a.value;
	/* The child answers, too; either may be first. */
	for (int left = 1;; left--) {
		if (a.who == s->by)
			pids[s->how] = (pid_t)a.value;
		if (!left)
			break;
		a = hear(step, (int)s->how);
	}
	parents[s->how] = s->by;
	return 0;
}

static void say(int step, const char *result)
{
	if (!quiet)
		printf("step %-4d  %s: %s\n", step, steps[step].text, result);
}

static void report_step(int step, long value)
{
	static const char *const in[] = { "stays in memory", "is out" };
	static const char *const at[] = { "stays on its node", "is on another node" };
	const struct step *s = &steps[step];
	char text[80];

	if (s->what == SWAP_OUT && value >= 0)
		say(step, in[value != 0]);
	else if (s->what == MIGRATE && value >= 0)
		say(step, at[value != 0]);
	else if (s->what == UNPIN && value >= 0) {
		snprintf(text, sizeof(text), "%ld through the reference (the model's pin: %u)", value,
			 s->how);
		say(step, text);
	} else
		say(step, shown(value));
	if (s->expected == ANY || step >= COMPARED || value == s->expected)
		return;
	if (s->expected >= 0 && (s->what == FORK || s->what == MMAP || s->what == EXEC) &&
	    value != -EEXIST && value != -EINVAL) {
		errno = (int)-value;
		cannot(s->text);
	}
	printf("step %d: %s: returned %s, expected %s\n", step, s->text, shown(value),
	       shown(s->expected));
	leave(1);
}

static void complain(int step, const struct answer *a)
{
	const char *name = labels[a->who].name;

	if (a->verdict == NO_PROC) {
		errno = ENOENT;
		cannot("/proc/self/maps cannot be read");
	}
	if (a->verdict == OTHER_MAPPING)
		printf("step %d: %s page %u: %s, expected %s\n", step, name, a->page, mapping(a->value),
		       mapping(a->expected));
	else if (a->value < 0)
		printf("step %d: %s page %u: cannot be read, expected %ld\n", step, name, a->page,
		       a->expected);
	else
		printf("step %d: %s page %u: read %ld, expected %ld\n", step, name, a->page, a->value,
		       a->expected);
	leave(1);
}

static unsigned long checks, pages_read, pages_swapped;

static void check_step(int step)
{
	const struct step *s = &steps[step];
	int all = step % CHECK_EVERY == 0 || step == STEPS - 1, asked = 0;
	struct answer worst = { 0 };

	for (int i = 0; i < LABELS; i++) {
		int acted = i == s->by || (s->what == FORK && i == (int)s->how);

		if (pids[i] && (all || acted)) {
			tell(i, CHECK, step);
			asked++;
		}
	}
	for (; asked; asked--) {
		struct answer a = hear(step, s->by);

		checks++;
		pages_read += a.read;
		pages_swapped += a.swapped;
		if (a.verdict != FINE && (worst.verdict == FINE || a.who < worst.who))
			worst = a;
	}
	if (worst.verdict != FINE)
		complain(step, &worst);
}

static const struct release *running(const char *version)
{
	int major = 0, minor = 0;
	const struct release *best = &releases[0];

	sscanf(version, "%d.%d", &major, &minor);
	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++)
		if (releases[i].major < major ||
		    (releases[i].major == major && releases[i].minor <= minor))
			best = &releases[i];
	return best;
}

/* A place with room for all pages, far from where programs, libraries and stacks go. */
static void find_arena(void)
{
	static const uint64_t places[] = { UINT64_C(0x200000000000), UINT64_C(0x1000000000),
					   UINT64_C(0x20000000) };
	size_t size = (size_t)PAGES * page_size;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		void *wanted, *at;

		if (places[i] > UINTPTR_MAX)
			continue;
		arena = (uintptr_t)places[i];
		wanted = address(FIRST_PAGE);
		at = mmap(wanted, size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		if (at != MAP_FAILED)
			munmap(at, size);
		if (at == wanted)
			return;
	}
	cannot("no free place for the pages");
}

static void open_pipes(void)
{
	struct rlimit files;
	int fd[2];

	while ((fd[0] = open("/dev/null", O_RDWR)) >= 0 && fd[0] < ANSWERS_OUT)
		; /* started with a stream closed */
	for (int i = ANSWERS_OUT; i < 1024; i++)
		close(i); /* what the shell left open */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (int i = 0; i <= PIPES; i++) {
		if (pipe(fd))
			cannot("a pipe for each process that lives at the same time");
		if (fd[0] != ANSWERS_OUT + 2 * i || fd[1] != ANSWERS_IN + 2 * i) {
			errno = EBUSY;
			cannot("file descriptors from 3 on");
		}
	}
}

static void start_first(void)
{
	coordinator = getpid();
	signal(SIGUSR1, on_orphan);
	pids[0] = fork();
	if (pids[0] < 0)
		cannot("fork");
	parents[0] = COORDINATOR;
	if (pids[0]) {
		signal(SIGUSR1, SIG_DFL);
		return;
	}
	signal(SIGALRM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	for (int i = 0; i < PIPES; i++)
		close(FIRST_ORDERS + 2 * i + 1);
	become(0);
	serve();
}

static _Noreturn void go_on(char **argv)
{
	struct answer a = { 0 };

	exec_step = atoi(argv[3]);
	arena = (uintptr_t)strtoull(argv[4], NULL, 16);
	read_all = atoi(argv[5]);
	coordinator = (pid_t)atoi(argv[6]);
	me = a.who = atoi(argv[2]);
	if (!write_whole(ANSWERS_IN, &a, sizeof(a)))
		_exit(0);
	serve();
}

static int run(void)
{
	struct utsname system;
	const struct release *like;
	int ran = 0;

	uname(&system);
	like = running(system.release);
	printf("%s, as in the model of %s; expected is what %s does\n", system.release, like->name,
	       SUBJECT);
	for (int step = 0; step < STEPS; step++) {
		if (step == like->step) {
			printf("stopped before step %d: %s behaves otherwise than %s there; "
			       "export with --on %s\n", step, like->name, SUBJECT, like->name);
			return 3;
		}
		if (step == COMPARED)
			printf("step %d: from here on nothing is compared\n", step);
		if (steps[step].what == SKIP) {
			say(step, steps[step].why);
			continue;
		}
		report_step(step, order_step(step));
		if (step < COMPARED)
			check_step(step);
		ran++;
	}
	if (!ran) {
		printf("nothing was run\n");
		return 3;
	}
	printf("%d of %d steps run; memory compared %lu times, %lu pages read, %lu left in swap: "
	       "as expected\n", ran, STEPS, checks, pages_read, pages_swapped);
	return 0;
}

int main(int argc, char **argv)
{
	page_size = (unsigned long)sysconf(_SC_PAGESIZE);
	if (argc == 7 && !strcmp(argv[1], "--go-on"))
		go_on(argv);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--read-all")) {
			read_all = 1;
		} else if (!strcmp(argv[i], "--quiet")) {
			quiet = 1;
		} else {
			fprintf(stderr, "usage: %s [--quiet] [--read-all]\n", argv[0]);
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, on_end);
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	alarm(TIME_LIMIT);
	find_arena();
	open_pipes();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* for children whose parent has exited */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* small pages; children have it from here */
	start_first();
	leave(run());
}
