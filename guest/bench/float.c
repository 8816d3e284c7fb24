/* Double-precision floating point: matrices multiplied, and the outer planets moved by their gravity. Every operation
   rounds as IEEE 754 says, so the result's bits are the same on every machine. */
#include "bench.h"

const char name[] = "float";
u64 expected = 0x9cb3f0ca0c676bbb;

enum { N = 48, BODIES = 5, MOVES = 2000 };

static double a[N][N], b[N][N], c[N][N];

static u64 bits_of(double x)
{
    u64 bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static u64 matrices(void)
{
    double trace = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = 1.0 / (i + j + 1);
            b[i][j] = (double)(i - j) / N;
        }
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double dot = 0;
            for (int k = 0; k < N; k++)
                dot += a[i][k] * b[k][j];
            c[i][j] = dot;
        }
    }
    for (int i = 0; i < N; i++)
        trace += c[i][i];
    return bits_of(trace);
}

struct body {
    double x, y, z, vx, vy, vz, mass;
};

/* The sun, Jupiter, Saturn, Uranus, Neptune: in AU, days and such that the sun weighs 4 pi^2 (n-body of the Computer
   Language Benchmarks Game). */
static const struct body at_start[BODIES] = {
    {0, 0, 0, -0.000387668148892, -0.003275906581130, 0.000023935734488, 39.478417604357432},
    {4.84143144246472090, -1.16032004402742839, -0.10362204447112311, 0.60632639299583202, 2.81198684491626016,
     -0.02521836165988763, 0.03769367487038949},
    {8.34336671824457987, 4.12479856412430479, -0.40352341711432138, -1.01077434617879236, 1.82566237123041186,
     0.00841576137658415, 0.01128632613196877},
    {12.89436956213912990, -15.11115140169863050, -0.22330757889265573, 1.08279100644153536, 0.86871301816960822,
     -0.01083263740136364, 0.00172372405705971},
    {15.37969711485091650, -25.91931460998796410, 0.17925877295037118, 0.97909073224389782, 0.59469899864767617,
     -0.03475595557888190, 0.00203368686992463},
};

static double square_root(double x)
{
    double root;
    asm("fsqrt.d %0, %1" : "=f"(root) : "f"(x));
    return root;
}

static void move(struct body *bodies, double dt)
{
    for (int i = 0; i < BODIES; i++) {
        struct body *one = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *other = &bodies[j];
            double dx = one->x - other->x, dy = one->y - other->y, dz = one->z - other->z;
            double square = dx * dx + dy * dy + dz * dz;
            double pull = dt / (square * square_root(square));
            one->vx -= dx * other->mass * pull;
            one->vy -= dy * other->mass * pull;
            one->vz -= dz * other->mass * pull;
            other->vx += dx * one->mass * pull;
            other->vy += dy * one->mass * pull;
            other->vz += dz * one->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

void prepare(void) {}

u64 work(void)
{
    struct body bodies[BODIES];
    u64 sum;
    memcpy(bodies, at_start, sizeof(bodies));
    for (int i = 0; i < MOVES; i++)
        move(bodies, 0.01);
    sum = matrices();
    for (int i = 0; i < BODIES; i++)
        sum = sum * 31 + (bits_of(bodies[i].x) ^ bits_of(bodies[i].vz));
    return sum;
}
