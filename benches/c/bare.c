/* The least that keeps N programs alive: bare N PROGRAM
 *
 * vfork and exec for each, a new one for each that ends, SIGTERM to all when it gets one. It keeps no
 * output, no directory, no state and no order, makes no process group, and closes no descriptor: what a
 * supervisor takes longer than this is the price of what it does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t bear(char *program, int number, const sigset_t *mask)
{
	char id[16];
	snprintf(id, sizeof id, "%d", number);
	char *words[] = {program, id, NULL};
	pid_t pid = vfork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		execve(program, words, environ);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int wanted = atoi(argv[1]), alive = wanted, stopping = 0, signal;
	pid_t *pids = calloc(wanted, sizeof *pids);
	sigset_t read, before;
	sigemptyset(&read);
	sigaddset(&read, SIGCHLD);
	sigaddset(&read, SIGTERM);
	sigprocmask(SIG_BLOCK, &read, &before);
	for (int i = 0; i < wanted; i++)
		pids[i] = bear(argv[2], i, &before);
	while (alive > 0) {
		sigwait(&read, &signal);
		if (signal == SIGTERM) {
			stopping = 1;
			for (int i = 0; i < wanted; i++)
				kill(pids[i], SIGTERM);
		}
		pid_t pid;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
			int i = 0;
			while (i < wanted && pids[i] != pid)
				i++;
			if (stopping)
				alive--;
			else if (i < wanted)
				pids[i] = bear(argv[2], i, &before);
		}
	}
	return 0;
}
