/* i8259.c: the 8259A: priority resolver, INTA and command words, by the data sheet (order 231468). */
#include "i8259.h"
#include <stdbool.h>

enum {
    INPUTS = 8,
    NONE = INPUTS,
    CASCADE = 2,  /* master input that a PC's slave is wired to */
    SPURIOUS = 7, /* the level given when the request went away before it was acknowledged ("default IR7") */
};

enum { ICW1_IC4 = 1 << 0, ICW1_SNGL = 1 << 1, ICW1_SELECT = 1 << 4 };
enum { ICW2_VECTOR = 0xf8 };
enum { ICW4_AEOI = 1 << 1, ICW4_SFNM = 1 << 4 };
enum { OCW2_LEVEL = 0x07, OCW2_ACTION = 0xe0 };
enum {
    ROTATE_IN_AEOI_CLEAR = 0x00,
    EOI = 0x20,
    SPECIFIC_EOI = 0x60,
    ROTATE_IN_AEOI_SET = 0x80,
    ROTATE_EOI = 0xa0,
    SET_PRIORITY = 0xc0,
    ROTATE_SPECIFIC_EOI = 0xe0,
};
enum {
    OCW3_RIS = 1 << 0,
    OCW3_RR = 1 << 1,
    OCW3_POLL = 1 << 2,
    OCW3_SELECT = 1 << 3,
    OCW3_SMM = 1 << 5,
    OCW3_ESMM = 1 << 6
};
enum { POLL_INTERRUPT = 1 << 7 };
enum { EXPECT_OCW1 = 0, EXPECT_ICW2 = 2, EXPECT_ICW3, EXPECT_ICW4 }; /* figure 6, initialization sequence */

/* -- Priorities --------------------------------------------------------------------------------------------------- */

static unsigned level_at(const struct i8259 *c, unsigned rank) { return (c->lowest + 1 + rank) % INPUTS; }

/* How far the most urgent of these levels is from the head of the rotation; NONE if there is none. */
static unsigned rank_of(const struct i8259 *c, unsigned bits)
{
    const unsigned by = level_at(c, 0), turned = (bits >> by | bits << (INPUTS - by)) & UINT8_MAX;

    return turned ? (unsigned)__builtin_ctz(turned) : NONE;
}

static unsigned requests(const struct i8259 *c) { return c->irr | (c->inputs & c->elcr); }

/* In special mask mode a masked level in service is left alone. */
static unsigned service_rank(const struct i8259 *c) { return rank_of(c, c->special_mask ? c->isr & ~c->imr : c->isr); }

/* The level that INT asks for, or NONE. */
static unsigned pending(const struct i8259 *c)
{
    const unsigned rank = rank_of(c, requests(c) & ~c->imr), service = service_rank(c);

    if (rank == NONE || rank > service) return NONE;
    const unsigned level = level_at(c, rank);
    return rank == service && !(c->sfnm && c->cascade >> level & 1) ? NONE : level;
}

static void show(struct i8259 *c, bool level)
{
    if (level == c->out) return;
    c->out = level;
    c->intr.set(c->intr.target, c->intr.which, level);
}

static void update(struct i8259 *c) { show(c, pending(c) != NONE); }

/* A request that is withdrawn before its acknowledge is lost (figure 10, note 1). */
void i8259_input(void *chip, uint32_t level, uint32_t high)
{
    struct i8259 *c = chip;
    const uint8_t bit = (uint8_t)(1u << level % INPUTS);

    if (high) {
        if (!(c->inputs & bit)) c->irr |= bit & ~c->elcr;
        c->inputs |= bit;
    } else {
        c->inputs &= (uint8_t)~bit;
        c->irr &= (uint8_t)~bit;
    }
    update(c);
}

/* The INTA sequence as this chip sees it; the level. */
static unsigned acknowledge(struct i8259 *c)
{
    const unsigned level = pending(c);

    if (level == NONE) return SPURIOUS;
    const uint8_t bit = (uint8_t)(1u << level);
    c->irr &= (uint8_t)~bit;
    if (!c->aeoi)
        c->isr |= bit;
    else if (c->rotate_aeoi)
        c->lowest = (uint8_t)level;
    show(c, false); /* INT falls during INTA: what is still pending gives a new edge */
    update(c);
    return level;
}

uint32_t i8259_vector(void *pair)
{
    struct i8259_pair *p = pair;
    struct i8259 *c = &p->master;
    unsigned level = acknowledge(c);

    if (level == CASCADE) {
        c = &p->slave;
        level = acknowledge(c);
    }
    return c->vector | level;
}

void i8259_wire(struct i8259_pair *pair)
{
    pair->master.cascade = 1 << CASCADE;
    pair->slave.intr = (vp_wire){i8259_input, &pair->master, CASCADE};
}

/* The master's state has what the slave's INT was: it is not told again. */
void i8259_drive(struct i8259_pair *pair)
{
    struct i8259 *master = &pair->master;

    pair->slave.out = pending(&pair->slave) != NONE;
    master->out = pending(master) != NONE;
    master->intr.set(master->intr.target, master->intr.which, master->out);
}

void i8259_set_elcr(struct i8259 *c, uint8_t value)
{
    c->elcr = value;
    c->irr &= (uint8_t)~value;
    update(c);
}

/* -- Registers ---------------------------------------------------------------------------------------------------- */

/* ICW1 resets the chip; an input that is high must fall and rise again to ask (ICW1, a to f). */
static void initialize(struct i8259 *c, uint8_t icw1)
{
    *c = (struct i8259){.inputs = c->inputs,
                        .elcr = c->elcr,
                        .lowest = INPUTS - 1,
                        .icw1 = icw1,
                        .expect = EXPECT_ICW2,
                        .out = c->out,
                        .cascade = c->cascade,
                        .intr = c->intr};
}

static void write_icw(struct i8259 *c, uint8_t value)
{
    const uint8_t last = c->icw1 & ICW1_IC4 ? EXPECT_ICW4 : EXPECT_OCW1;

    switch (c->expect) {
    case EXPECT_ICW2:
        c->vector = value & ICW2_VECTOR;
        c->expect = c->icw1 & ICW1_SNGL ? last : EXPECT_ICW3;
        break;
    case EXPECT_ICW3: /* the wiring of a PC is fixed */ c->expect = last; break;
    default:
        c->aeoi = !!(value & ICW4_AEOI);
        c->sfnm = !!(value & ICW4_SFNM);
        c->expect = EXPECT_OCW1;
    }
}

static void write_ocw2(struct i8259 *c, uint8_t value)
{
    const unsigned action = value & OCW2_ACTION, rank = service_rank(c);
    const bool specific = action == SPECIFIC_EOI || action == ROTATE_SPECIFIC_EOI || action == SET_PRIORITY;
    const unsigned level = specific ? value & OCW2_LEVEL : rank == NONE ? NONE : level_at(c, rank);

    switch (action) {
    case EOI:
    case SPECIFIC_EOI:
    case ROTATE_EOI:
    case ROTATE_SPECIFIC_EOI: c->isr &= (uint8_t) ~(1u << level); break;
    case ROTATE_IN_AEOI_SET:
    case ROTATE_IN_AEOI_CLEAR: c->rotate_aeoi = action == ROTATE_IN_AEOI_SET; return;
    }
    if ((action == ROTATE_EOI || action == ROTATE_SPECIFIC_EOI || action == SET_PRIORITY) && level != NONE)
        c->lowest = (uint8_t)level;
}

static void write_ocw3(struct i8259 *c, uint8_t value)
{
    if (value & OCW3_ESMM) c->special_mask = !!(value & OCW3_SMM);
    if (value & OCW3_POLL)
        c->poll = 1;
    else if (value & OCW3_RR)
        c->read_isr = !!(value & OCW3_RIS);
}

void i8259_out(void *chip, uint32_t a0, uint32_t value)
{
    struct i8259 *c = chip;
    const uint8_t byte = (uint8_t)value;

    if (!a0 && (byte & ICW1_SELECT))
        initialize(c, byte);
    else if (!a0 && (byte & OCW3_SELECT))
        write_ocw3(c, byte);
    else if (!a0)
        write_ocw2(c, byte);
    else if (c->expect)
        write_icw(c, byte);
    else
        c->imr = byte;
    update(c);
}

/* The read after a poll command acknowledges the most urgent request (Poll command). */
static uint32_t poll(struct i8259 *c)
{
    c->poll = 0;
    return pending(c) == NONE ? 0 : POLL_INTERRUPT | acknowledge(c);
}

uint32_t i8259_in(void *chip, uint32_t a0)
{
    struct i8259 *c = chip;

    if (c->poll) return poll(c);
    if (a0) return c->imr;
    return c->read_isr ? c->isr : requests(c);
}
