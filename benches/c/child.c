/* A supervised program that does nothing: child [ID [LOCK...]]
 *
 * Its first act is to take the time. Then it writes "ID PID NANOSECONDS LOCKED" into the FIFO named by
 * BENCH_FIFO and sleeps until a signal ends it. Without an ID it takes the name of its directory, which
 * is how directory-scanning supervisors tell their services apart.
 *
 * With BENCH_DEAF in its environment it ignores SIGTERM.
 *
 * LOCKED is 0 when somebody else still held one of the LOCK files. The kernel lets go of a lock at the
 * moment its holder ends, so this is proof of two generations that ran side by side. The first lock is
 * kept, the others are only looked at. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (getenv("BENCH_DEAF"))
		signal(SIGTERM, SIG_IGN);

	char directory[512];
	const char *id = argc > 1 ? argv[1] : NULL;
	if (!id) {
		if (!getcwd(directory, sizeof directory))
			return 1;
		id = strrchr(directory, '/') + 1;
	}

	int locked = 1;
	for (int i = 2; i < argc; i++) {
		int file = open(argv[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (file < 0 || flock(file, LOCK_EX | LOCK_NB) < 0)
			locked = 0;
		if (i > 2)
			close(file);
	}

	const char *name = getenv("BENCH_FIFO");
	int fifo = name ? open(name, O_WRONLY) : -1;
	if (fifo >= 0) {
		char line[128];
		int length = snprintf(line, sizeof line, "%s %d %lld %d\n", id, (int)getpid(),
				      now.tv_sec * 1000000000LL + now.tv_nsec, locked);
		if (write(fifo, line, length) != length)
			return 1;
		close(fifo);
	}
	for (;;)
		pause();
}
