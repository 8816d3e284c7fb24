/* wc: count the lines, words and bytes that come in. */
#include "user.h"

int main(void)
{
    u64 lines = 0, words = 0, bytes = 0;
    bool is_in_word = false;
    char buffer[256];
    i64 count;
    while ((count = read(0, buffer, sizeof buffer)) > 0)
        for (i64 i = 0; i < count; i++) {
            bool is_space = buffer[i] == ' ' || buffer[i] == '\n' || buffer[i] == '\t';
            words += !is_space && !is_in_word;
            is_in_word = !is_space;
            lines += buffer[i] == '\n';
            bytes++;
        }
    printf("%lu %lu %lu\n", lines, words, bytes);
    return 0;
}
