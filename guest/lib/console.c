/* printf of a bare guest goes to firmware's console. */
#include "print.h"
#include "sbi.h"

void print_bytes(const char *text, size_t length) { sbi_write(text, length); }
