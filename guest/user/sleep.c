/* sleep TICKS: wait for that many timer ticks (100 a second, unless hz=N was given at boot). */
#include "user.h"

int main(int argc, char *argv[])
{
    sleep(argc > 1 ? parse_number(argv[1]) : 100);
    return 0;
}
