/* i8254.c: the 8254's counters, control words, and the edges of IRQ 0; by the data sheet (order 231164). */
#include "i8254.h"
#include <stdbool.h>

#define NONE INT64_MIN
enum { NO_COUNT = -1 };

/* 14.31818 MHz / 12 is 105/88 MHz, exactly. */
enum { CLK_TICKS = 105, CLK_PER_NS = 88000 };
enum { BINARY_RANGE = 0x10000, BCD_RANGE = 10000 };
enum {
    CONTROL_BCD = 1 << 0,
    MODE_SHIFT = 1,
    MODE_MASK = 7,
    RW_SHIFT = 4,
    RW_MASK = 3,
    SELECT_SHIFT = 6,
    READ_BACK = 3
};
enum { STATUS_MASK = 0x3f, STATUS_NULL_COUNT = 1 << 6, STATUS_OUT = 1 << 7 };
enum { RW_LATCH, RW_LSB, RW_MSB, RW_BOTH };
enum { READ_BACK_FIRST = 1, READ_BACK_NO_STATUS = 1 << 4, READ_BACK_NO_COUNT = 1 << 5 }; /* latch bits are active low */
enum mode { TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFT_STROBE, HARD_STROBE };
enum { CONTROL = I8254_CHANNELS }; /* offset of the control word register */

enum {
    MOST_OWED = 32, /* when the host was late, that many ticks are made up for; the rest is lost, as if the guest had
                     * masked interrupts */
    CATCH_UP = 4,   /* made-up ticks come this many times as fast as asked for, so that the handler can run between */
    SHORTEST_NS = 30000, /* no two come closer: a guest that asks for a million a second must not stop the host */
};

int64_t i8254_none(void) { return NONE; }

int64_t i8254_ticks(int64_t ns) { return (int64_t)((__int128)ns * CLK_TICKS / CLK_PER_NS); }

/* Virtual ns at which a tick has come, rounded up. */
static int64_t nanoseconds(int64_t tick)
{
    return (int64_t)(((__int128)tick * CLK_PER_NS + CLK_TICKS - 1) / CLK_TICKS);
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* -- One counter -------------------------------------------------------------------------------------------------- */

/* Bit 2 of the field does not matter for modes 2 and 3. */
static enum mode mode_of(const struct i8254_counter *c)
{
    const unsigned field = c->control >> MODE_SHIFT & MODE_MASK;

    return (enum mode)(field > HARD_STROBE ? field & 3 : field);
}

static unsigned access_of(const struct i8254_counter *c) { return c->control >> RW_SHIFT & RW_MASK; }
static bool is_periodic(enum mode mode) { return mode == RATE || mode == SQUARE; }
static bool is_triggered(enum mode mode) { return mode == ONE_SHOT || mode == HARD_STROBE; }
/* A low GATE only suspends counting. */
static bool is_gated(enum mode mode) { return mode == TERMINAL_COUNT || mode == SOFT_STROBE; }

/* What the counting element counts modulo. */
static int32_t range_of(const struct i8254_counter *c) { return c->control & CONTROL_BCD ? BCD_RANGE : BINARY_RANGE; }

/* Stopped, waiting for a count (Programming the 8254). */
static void reprogram(struct i8254_counter *c, uint8_t control)
{
    *c = (struct i8254_counter){.control = control,
                                .gate = c->gate,
                                .next_count = NO_COUNT,
                                .low_byte = NO_COUNT,
                                .latch = NO_COUNT,
                                .status_latch = NO_COUNT,
                                .start = NONE,
                                .held = NONE};
}

/* Let a waiting count of modes 2 and 3 take effect if its time has come. */
static void settle(struct i8254_counter *c, int64_t now)
{
    if (c->next_count == NO_COUNT || !is_periodic(mode_of(c)) || now < c->next_at) return;
    c->count = c->next_count;
    c->start = c->next_start;
    c->next_count = NO_COUNT;
}

/* A new count in modes 2 and 3 waits for the end of the period, in mode 3 of the half period. */
static void queue(struct i8254_counter *c, int32_t count, int64_t now)
{
    const int64_t counted = most(now - c->start, 0), elapsed = counted % c->count, begin = c->start + counted - elapsed;
    const int32_t half = (c->count + 1) / 2;

    c->next_count = count;
    if (mode_of(c) == SQUARE && elapsed < half) {
        c->next_at = begin + half;
        c->next_start = c->next_at - (count + 1) / 2;
    } else {
        c->next_at = c->next_start = begin + c->count;
    }
}

static void set_count(struct i8254_counter *c, int32_t count, int64_t now)
{
    settle(c, now);
    if (is_triggered(mode_of(c))) {
        c->next_count = count;
    } else if (is_periodic(mode_of(c)) && c->start != NONE && c->held == NONE) {
        queue(c, count, now);
    } else {
        c->count = count;
        c->start = now + 1; /* loaded on the next CLK */
        c->held = c->gate ? NONE : 0;
    }
}

static int32_t from_bcd(int32_t raw)
{
    return ((raw >> 12 & 15) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 + (raw & 15)) % BCD_RANGE;
}

static int32_t to_bcd(int32_t number)
{
    return (number / 1000 % 10) << 12 | (number / 100 % 10) << 8 | (number / 10 % 10) << 4 | number % 10;
}

/* A byte of the count; whether that changed what OUT will do. */
static bool write_byte(struct i8254_counter *c, uint8_t value, int64_t now)
{
    const unsigned access = access_of(c);

    if (access == RW_BOTH && c->low_byte == NO_COUNT) {
        c->low_byte = value;
        if (mode_of(c) != TERMINAL_COUNT) return false;
        c->start = c->held = NONE; /* the first byte stops counting and OUT stays low (mode 0) */
        c->count = 0;
        return true;
    }
    int32_t raw = access == RW_LSB ? value : value << 8;
    if (access == RW_BOTH) {
        raw |= c->low_byte;
        c->low_byte = NO_COUNT;
    }
    if (c->control & CONTROL_BCD) raw = from_bcd(raw);
    set_count(c, raw ? raw : range_of(c), now);
    return true;
}

/* GATE changed (figure 22, gate pin operations). */
static void set_gate(struct i8254_counter *c, bool gate, int64_t now)
{
    const enum mode mode = mode_of(c);

    if (gate == c->gate) return;
    settle(c, now);
    c->gate = gate;
    if (is_triggered(mode)) {
        if (!gate || (c->next_count == NO_COUNT && !c->count)) return;
        if (c->next_count != NO_COUNT) c->count = c->next_count;
        c->next_count = NO_COUNT;
        c->start = now + 1;
    } else if (c->start == NONE) {
        return;
    } else if (!gate) {
        c->held = is_gated(mode) ? most(now - c->start, 0) : 0;
        if (!is_periodic(mode) || c->next_count == NO_COUNT) return;
        c->count = c->next_count;
        c->next_count = NO_COUNT;
    } else {
        c->start = is_gated(mode) ? now - c->held : now + 1;
        c->held = NONE;
    }
}

/* Ticks counted, NONE before a count was loaded. */
static int64_t elapsed_of(struct i8254_counter *c, int64_t now)
{
    settle(c, now);
    if (c->start == NONE) return NONE;
    return c->held != NONE ? c->held : most(now - c->start, 0);
}

/* Level of OUT. */
static bool out_of(struct i8254_counter *c, int64_t now)
{
    const int64_t elapsed = elapsed_of(c, now);
    const enum mode mode = mode_of(c);

    if (elapsed == NONE || (is_periodic(mode) && c->held != NONE)) return mode != TERMINAL_COUNT;
    switch (mode) {
    case TERMINAL_COUNT: return elapsed >= c->count;
    case ONE_SHOT: return elapsed >= c->count || c->start > now;
    case RATE: return elapsed % c->count != c->count - 1;
    case SQUARE: return elapsed % c->count < (c->count + 1) / 2;
    default: return elapsed != c->count;
    }
}

/* The counting element as it is read. */
static int32_t value_of(struct i8254_counter *c, int64_t now)
{
    const int64_t elapsed = elapsed_of(c, now);
    const int32_t range = range_of(c), half = (c->count + 1) / 2;
    int64_t number = c->count;

    if (elapsed != NONE && mode_of(c) == RATE) {
        number = c->count - elapsed % c->count;
    } else if (elapsed != NONE &&
               mode_of(c) == SQUARE) { /* counts down by two, twice a period; odd counts lose one first */
        const int64_t phase = elapsed % c->count;
        number = (c->count & ~1) - 2 * (phase < half ? phase : phase - half);
    } else if (elapsed != NONE) {
        number = c->count - elapsed;
    }
    number = (number % range + range) % range;
    return c->control & CONTROL_BCD ? to_bcd((int32_t)number) : (int32_t)number;
}

/* The first tick after `now` at which OUT rises, NONE if it stays as it is. */
static int64_t next_rise(struct i8254_counter *c, int64_t now)
{
    const enum mode mode = mode_of(c);

    settle(c, now);
    if (c->start == NONE || c->held != NONE) return NONE;
    if (is_periodic(mode)) {
        const int64_t rise = c->start + (most(now - c->start, 0) / c->count + 1) * c->count;
        if (c->next_count == NO_COUNT || rise < c->next_at) return rise;
        return c->next_start + (c->next_start >= c->next_at ? 0 : c->next_count); /* the next count gives the rises */
    }
    const int64_t once = c->start + c->count + (mode != TERMINAL_COUNT && mode != ONE_SHOT);
    return once > now ? once : NONE;
}

static void latch_count(struct i8254_counter *c, int64_t now)
{
    if (c->latch == NO_COUNT) c->latch = value_of(c, now); /* ignored while one waits to be read */
}

static void latch_status(struct i8254_counter *c, int64_t now)
{
    if (c->status_latch != NO_COUNT) return;
    const bool waiting = c->start == NONE || c->start > now || c->next_count != NO_COUNT;
    c->status_latch = c->control | (out_of(c, now) ? STATUS_OUT : 0) | (waiting ? STATUS_NULL_COUNT : 0);
}

/* The next byte: latched status first, then the latched count, else the count as it runs. */
static uint8_t read_byte(struct i8254_counter *c, int64_t now)
{
    const unsigned access = access_of(c);

    if (c->status_latch != NO_COUNT) {
        const uint8_t status = (uint8_t)c->status_latch;
        c->status_latch = NO_COUNT;
        return status;
    }
    const int32_t value = c->latch == NO_COUNT ? value_of(c, now) : c->latch;
    const bool msb = access == RW_MSB || (access == RW_BOTH && c->msb_next);
    if (access == RW_BOTH) c->msb_next = !c->msb_next;
    if (access != RW_BOTH || msb) c->latch = NO_COUNT;
    return (uint8_t)(msb ? value >> 8 : value);
}

/* -- IRQ 0 -------------------------------------------------------------------------------------------------------- */

static int64_t now_of(const struct i8254 *p) { return p->clock.now(p->clock.target); }

/* IRQ 0 is high but for the moment before an edge; the alarm waits for the next one. */
void i8254_drive(struct i8254 *p)
{
    p->irq0.set(p->irq0.target, p->irq0.which, p->irq);
    p->alarm.at(p->alarm.target, p->edge == NONE ? VP_NEVER : most(nanoseconds(p->edge), p->not_before));
}

/* Ticks that are over by now still come, but not all and not at once. */
static void catch_up(struct i8254 *p, int64_t following)
{
    const int64_t now = now_of(p), late = i8254_ticks(now) - following;
    const int32_t period = p->counters[0].count;

    p->not_before = now + SHORTEST_NS;
    if (late < 0 || !period) return;
    if (late > (int64_t)MOST_OWED * period) p->edge = following + (late - MOST_OWED * period) / period * period;
    p->not_before = now + most(SHORTEST_NS, nanoseconds(period) / CATCH_UP);
}

/* OUT0 rises.  In modes 2 to 5 it was low for the shortest time before, which the controller must see. */
void i8254_rang(void *pit)
{
    struct i8254 *p = pit;

    if (p->edge == NONE) return;
    p->irq0.set(p->irq0.target, p->irq0.which, 0);
    p->irq = 1;
    p->edge = next_rise(&p->counters[0], p->edge);
    if (p->edge != NONE) catch_up(p, p->edge);
    i8254_drive(p);
}

/* From the very tick of the write on: an edge that is over by the time the host gets here is still to come. */
static void programmed(struct i8254 *p, unsigned channel, int64_t now)
{
    struct i8254_counter *c = &p->counters[0];

    if (channel) return;
    p->irq = mode_of(c) != TERMINAL_COUNT || out_of(c, now);
    p->edge = next_rise(c, now);
    p->not_before = 0;
    i8254_drive(p);
}

static bool is_count(int32_t count) { return count > 0 && count <= BINARY_RANGE; }
static bool is_tick(int64_t tick) { return tick > -BINARY_RANGE && tick < INT64_MAX / CLK_PER_NS; }

void i8254_restart(struct i8254 *p)
{
    for (unsigned channel = 0; channel < I8254_CHANNELS; channel++) {
        struct i8254_counter *c = &p->counters[channel];
        if (!is_count(c->count)) c->count = 0;
        if (!is_count(c->next_count)) c->next_count = NO_COUNT;
        if (!c->count || !is_tick(c->start)) c->start = NONE;
        if (!is_tick(c->held)) c->held = NONE;
        if (!is_tick(c->next_start) || !is_tick(c->next_at)) c->next_count = NO_COUNT;
    }
    if (!is_tick(p->edge) || !p->counters[0].count) p->edge = NONE;
}

/* -- Registers ---------------------------------------------------------------------------------------------------- */

static void read_back(struct i8254 *p, uint8_t value, int64_t now)
{
    for (unsigned channel = 0; channel < I8254_CHANNELS; channel++) {
        struct i8254_counter *c = &p->counters[channel];
        if (!(value >> (READ_BACK_FIRST + channel) & 1)) continue;
        if (!(value & READ_BACK_NO_COUNT)) latch_count(c, now);
        if (!(value & READ_BACK_NO_STATUS)) latch_status(c, now);
    }
}

static void write_control(struct i8254 *p, uint8_t value, int64_t now)
{
    const unsigned channel = value >> SELECT_SHIFT;

    if (channel == READ_BACK) {
        read_back(p, value, now);
    } else if ((value >> RW_SHIFT & RW_MASK) == RW_LATCH) {
        latch_count(&p->counters[channel], now);
    } else {
        reprogram(&p->counters[channel], value & STATUS_MASK);
        programmed(p, channel, now);
    }
}

uint32_t i8254_in(void *pit, uint32_t offset)
{
    struct i8254 *p = pit;

    if (offset >= CONTROL) return UINT8_MAX; /* the control word cannot be read */
    return read_byte(&p->counters[offset], i8254_ticks(now_of(p)));
}

void i8254_out(void *pit, uint32_t offset, uint32_t value)
{
    struct i8254 *p = pit;
    const int64_t now = i8254_ticks(now_of(p));

    if (offset >= CONTROL)
        write_control(p, (uint8_t)value, now);
    else if (write_byte(&p->counters[offset], (uint8_t)value, now))
        programmed(p, offset, now);
}

void i8254_set_gate(struct i8254 *p, uint32_t channel, uint32_t level)
{
    set_gate(&p->counters[channel % I8254_CHANNELS], level, i8254_ticks(now_of(p)));
}

uint32_t i8254_level(struct i8254 *p, uint32_t channel)
{
    return out_of(&p->counters[channel % I8254_CHANNELS], i8254_ticks(now_of(p)));
}

uint32_t i8254_period(const struct i8254 *p, uint32_t channel)
{
    const struct i8254_counter *c = &p->counters[channel % I8254_CHANNELS];

    if (!is_periodic(mode_of(c)) || c->start == NONE) return 0;
    return (uint32_t)(c->next_count != NO_COUNT ? c->next_count : c->count);
}
