/* The first process. Its argument is the kernel's boot arguments: with `workload` or `workload=N` it runs
   that and powers off; otherwise it keeps a shell running, and takes in orphans. */
#include "user.h"

static int start(char *const argv[])
{
    int pid = fork();
    if (pid == 0) {
        exec(argv[0], argv);
        printf("init: no program %s\n", argv[0]);
        exit(1);
    }
    return pid;
}

static int wait_for(int pid)
{
    int status = 0;
    while (wait(&status) != pid)
        ;
    return status;
}

/* The text after "workload" if that is one of the words, else NULL. */
static char *find_workload(char *words)
{
    for (char *at = words; *at; at++)
        if ((at == words || at[-1] == ' ') && !strncmp(at, "workload", 8) &&
            (at[8] == 0 || at[8] == ' ' || at[8] == '='))
            return at + 8;
    return NULL;
}

int main(int argc, char *argv[])
{
    char *rounds = argc > 1 ? find_workload(argv[1]) : NULL;
    if (rounds) {
        char *arguments[] = {"workload", *rounds == '=' ? rounds + 1 : NULL, NULL};
        int status = wait_for(start(arguments));
        if (status >= STATUS_FAULT)
            printf("init: workload: %s\n", status_name(status));
        poweroff();
    }
    printf("type help for what there is\n");
    for (;;) {
        char *arguments[] = {"sh", NULL};
        wait_for(start(arguments));
    }
}
