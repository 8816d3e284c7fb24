#include "print.h"
#include <stdarg.h>
#include "string.h"

/* Text is gathered here, so that a line costs one call of print_bytes and not one a character. */
struct line {
    char text[120];
    size_t length;
};

static void flush(struct line *line)
{
    if (line->length > 0)
        print_bytes(line->text, line->length);
    line->length = 0;
}

static void put(struct line *line, char c)
{
    line->text[line->length++] = c;
    if (c == '\n' || line->length == sizeof line->text)
        flush(line);
}

struct field {
    int width;
    char padding; /* ' ' or '0' */
    bool is_left;
};

static void put_field(struct line *line, struct field field, const char *text, int length)
{
    for (int i = length; i < field.width && !field.is_left; i++)
        put(line, field.padding);
    for (int i = 0; i < length; i++)
        put(line, text[i]);
    for (int i = length; i < field.width && field.is_left; i++)
        put(line, ' ');
}

static void put_number(struct line *line, struct field field, u64 value, u64 base, bool is_negative)
{
    char digits[24];
    int at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    if (is_negative)
        digits[--at] = '-';
    put_field(line, field, digits + at, (int)sizeof digits - at);
}

void printf(const char *format, ...)
{
    struct line line = {.length = 0};
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at; at++) {
        if (*at != '%') {
            put(&line, *at);
            continue;
        }
        struct field field = {0, ' ', false};
        at++;
        if (*at == '-') {
            field.is_left = true;
            at++;
        }
        if (*at == '0')
            field.padding = '0';
        while (*at >= '0' && *at <= '9')
            field.width = field.width * 10 + (*at++ - '0');
        bool is_long = *at == 'l';
        if (is_long)
            at++;
        if (*at == 'd') {
            i64 value = is_long ? va_arg(args, i64) : va_arg(args, i32);
            put_number(&line, field, value < 0 ? -(u64)value : (u64)value, 10, value < 0);
        } else if (*at == 'u' || *at == 'x') {
            u64 value = is_long ? va_arg(args, u64) : va_arg(args, u32);
            put_number(&line, field, value, *at == 'x' ? 16 : 10, false);
        } else if (*at == 's') {
            const char *text = va_arg(args, const char *);
            put_field(&line, field, text, (int)strlen(text));
        } else if (*at == 'c') {
            put(&line, (char)va_arg(args, int));
        } else {
            put(&line, *at);
        }
    }
    va_end(args);
    flush(&line);
}
