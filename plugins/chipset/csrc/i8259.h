/* i8259.h: one Intel 8259A interrupt controller (data sheet, order 231468), and how two of them answer INTA.
 *
 * Also cffi's cdef: plain declarations only.  The state's fields are those of pic.ChipState.
 */
#ifndef I8259_H
#define I8259_H
#include "native.h"

struct i8259 {
    uint8_t inputs; /* IR0-IR7 as last seen: the memory of the edge detectors */
    uint8_t irr;    /* latched edges; a level triggered input asks by its level alone */
    uint8_t isr, imr, elcr;
    uint8_t lowest; /* the level of lowest priority; the next one is the most urgent */
    uint8_t vector;
    uint8_t expect; /* which ICW the next write with A0 = 1 is; 0 for the mask */
    uint8_t icw1, aeoi, sfnm, special_mask, rotate_aeoi, read_isr, poll;

    /* not state: what INT shows, where it leads, and the inputs that a slave is wired to */
    uint8_t out, cascade;
    vp_wire intr;
};

/* A PC's pair: the slave's INT is the master's IR2. */
struct i8259_pair {
    struct i8259 master, slave;
};

void i8259_wire(struct i8259_pair *pair);  /* once, when all is zero */
void i8259_drive(struct i8259_pair *pair); /* the state was replaced: set INTR */
void i8259_set_elcr(struct i8259 *chip, uint8_t value);

/* What a machine calls (native.h). */
void i8259_input(void *chip, uint32_t level, uint32_t high); /* an IR input changed: the end of a vp_wire */
uint32_t i8259_in(void *chip, uint32_t a0);                  /* vp_registers */
void i8259_out(void *chip, uint32_t a0, uint32_t value);
uint32_t i8259_vector(void *pair); /* the interrupt acknowledge cycle: the vector */

#endif
