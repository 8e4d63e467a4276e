/* i8254.h: the Intel 8254 interval timer (data sheet, order 231164) as a function of time: nothing runs, every answer
 * is computed from when counting began.  Channel 0 drives IRQ 0.
 *
 * Also cffi's cdef: plain declarations only.  Ticks are periods of CLK since virtual time 0; I8254_NONE stands for no
 * tick, no count, no latch.  The fields are those of pit.CounterState and pit.PitState.
 */
#ifndef I8254_H
#define I8254_H
#include "native.h"

#define I8254_CHANNELS 3

struct i8254_counter {
    uint8_t control; /* the low six bits of its control word */
    uint8_t gate;
    uint8_t msb_next;   /* the next read of a two-byte count gives the MSB */
    int32_t count;      /* in effect; 0 before one was written */
    int32_t next_count; /* written while a period runs (modes 2, 3), or waiting for a trigger (modes 1, 5) */
    int32_t low_byte;   /* LSB written, MSB still to come */
    int32_t latch, status_latch;
    int64_t start;      /* tick at which the count was loaded into the counting element */
    int64_t held;       /* ticks counted when GATE went low */
    int64_t next_start; /* modes 2 and 3: the start of the next count, as if it always had been in effect */
    int64_t next_at;    /* tick at which it takes effect */
};

struct i8254 {
    struct i8254_counter counters[3];
    uint8_t irq;        /* level of IRQ 0 */
    int64_t edge;       /* tick of the next rising edge that IRQ 0 has to show */
    int64_t not_before; /* virtual ns before which it is held back, because the one before it was late */

    /* not state */
    vp_wire irq0;
    vp_clock clock;
    vp_alarm alarm;
};

int64_t i8254_none(void);
void i8254_restart(struct i8254 *pit); /* the state was replaced: what cannot be becomes `none` */
int64_t i8254_ticks(int64_t ns);
void i8254_drive(struct i8254 *pit);           /* set IRQ 0 and the alarm from the state */
void i8254_rang(void *pit);                    /* the alarm's time has come */
uint32_t i8254_in(void *pit, uint32_t offset); /* vp_registers: three counters and the control word */
void i8254_out(void *pit, uint32_t offset, uint32_t value);
void i8254_set_gate(struct i8254 *pit, uint32_t channel, uint32_t level);
uint32_t i8254_level(struct i8254 *pit, uint32_t channel); /* of OUT */
/* Periods of CLK in one of OUT, while a channel counts in mode 2 or 3; else 0. */
uint32_t i8254_period(const struct i8254 *pit, uint32_t channel);

#endif
