/* kill PIDS...: end those processes. */
#include "user.h"

int main(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++)
        if (kill((int)parse_number(argv[i])) < 0)
            printf("kill: no process %s\n", argv[i]);
    return 0;
}
