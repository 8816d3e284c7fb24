/* upper: pass on what comes in, in capital letters. */
#include "user.h"

int main(void)
{
    char buffer[256];
    i64 count;
    while ((count = read(0, buffer, sizeof buffer)) > 0) {
        for (i64 i = 0; i < count; i++)
            if (buffer[i] >= 'a' && buffer[i] <= 'z')
                buffer[i] -= 'a' - 'A';
        write(1, buffer, (u64)count);
    }
    return 0;
}
