/* The shell: one line is one pipeline of programs, `&` at its end leaves it in the background. */
#include "user.h"

enum { LINE_SIZE = 256, STAGES_MAX = 6 };

struct pipeline {
    char *argv[STAGES_MAX][ARGUMENTS_MAX + 1];
    int count;
    bool is_background;
};

static bool is_separator(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* Cut the line into words and stages, in place; false (and a message) if it makes no sense. */
static bool parse(char *line, struct pipeline *pipeline)
{
    memset(pipeline, 0, sizeof *pipeline);
    int words = 0;
    for (char *at = line; *at;) {
        if (is_separator(*at)) {
            *at++ = 0;
        } else if (*at == '|' || *at == '&') {
            pipeline->is_background |= *at == '&';
            if (words == 0 || (*at == '|' && ++pipeline->count == STAGES_MAX - 1)) {
                printf("sh: no program before %c, or too many\n", *at);
                return false;
            }
            words = *at == '|' ? 0 : words;
            *at++ = 0;
        } else {
            if (words == ARGUMENTS_MAX) {
                printf("sh: more than %d words\n", ARGUMENTS_MAX);
                return false;
            }
            pipeline->argv[pipeline->count][words++] = at;
            while (*at && !is_separator(*at) && *at != '|' && *at != '&')
                at++;
        }
    }
    if (words == 0 && pipeline->count > 0) {
        printf("sh: no program after |\n");
        return false;
    }
    pipeline->count += words > 0;
    return true;
}

static void help(void)
{
    printf("A line is a program and its arguments; `a | b` pipes, `a &` does not wait, ctrl-c ends programs.\n");
    printf("Built in: help, exit, poweroff. Programs and files:\n ");
    struct file_info file;
    for (u64 i = 0; list(i, &file) == 0; i++)
        printf(" %s", file.name);
    printf("\n");
}

static void report(const char *name, int status)
{
    if (status >= STATUS_FAULT)
        printf("%s: %s\n", name, status_name(status));
}

/* Start every stage, each reading what the one before it writes, and wait for the last. */
static void run(struct pipeline *pipeline)
{
    int pids[STAGES_MAX];
    int input = -1; /* the read end of the pipe from the stage before */
    for (int i = 0; i < pipeline->count; i++) {
        bool is_last = i == pipeline->count - 1;
        int fds[2] = {-1, -1};
        if (!is_last && pipe(fds) < 0) {
            printf("sh: no more pipes\n");
            return;
        }
        pids[i] = fork();
        if (pids[i] == 0) {
            if (input >= 0)
                move_descriptor(input, 0);
            if (!is_last) {
                close(fds[0]);
                move_descriptor(fds[1], 1);
            }
            exec(pipeline->argv[i][0], pipeline->argv[i]);
            printf("sh: no program %s (try help)\n", pipeline->argv[i][0]);
            exit(127);
        }
        if (pids[i] < 0)
            printf("sh: cannot fork\n");
        if (input >= 0)
            close(input);
        if (!is_last)
            close(fds[1]);
        input = fds[0];
    }
    for (int left = pipeline->is_background ? 0 : pipeline->count; left > 0;) {
        int status, pid = wait(&status);
        if (pid < 0)
            return;
        for (int i = 0; i < pipeline->count; i++)
            if (pids[i] == pid) {
                report(pipeline->argv[i][0], status);
                left--;
            }
    }
}

int main(void)
{
    static char line[LINE_SIZE];
    static struct pipeline pipeline;
    for (;;) {
        printf("$ ");
        i64 length = read(0, line, sizeof line - 1);
        if (length <= 0)
            return 0;
        line[length] = 0;
        if (!parse(line, &pipeline) || pipeline.count == 0)
            continue;
        const char *name = pipeline.argv[0][0];
        if (!strcmp(name, "help"))
            help();
        else if (!strcmp(name, "exit"))
            return 0;
        else if (!strcmp(name, "poweroff"))
            poweroff();
        else
            run(&pipeline);
    }
}
