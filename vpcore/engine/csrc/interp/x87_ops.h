/* x87_ops.h: the shapes of x87 handlers.
 *
 * Each runs the guest's instruction on the host: begin (#NM, #MF, state onto the host), operand (memory faults), note
 * (FOP, FIP, FDP), the instruction.  Register forms are written as opcode bytes, ESC BASE+i, since assemblers disagree
 * on which of FSUB and FSUBR is which.
 */
#ifndef VP_X87_OPS_H
#define VP_X87_OPS_H
#include "../x87.h"
#include "interp.h"

#define X87_BYTES(esc, modrm) __asm__ volatile(".byte %c0, %c1" ::"i"(esc), "i"(modrm))

/* One statement for each ST(i): STATEMENT(esc, modrm). */
#define X87_ON_STI(statement, esc, base)                                                                               \
    switch (i->rm & 7) {                                                                                               \
    case 0: statement(esc, (base) + 0); break;                                                                         \
    case 1: statement(esc, (base) + 1); break;                                                                         \
    case 2: statement(esc, (base) + 2); break;                                                                         \
    case 3: statement(esc, (base) + 3); break;                                                                         \
    case 4: statement(esc, (base) + 4); break;                                                                         \
    case 5: statement(esc, (base) + 5); break;                                                                         \
    case 6: statement(esc, (base) + 6); break;                                                                         \
    case 7: statement(esc, (base) + 7); break;                                                                         \
    }

#define X87_STI(row, esc, base)                                                                                        \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        x87_begin(m);                                                                                                  \
        x87_note(m, i);                                                                                                \
        X87_ON_STI(X87_BYTES, esc, base)                                                                               \
        NEXT;                                                                                                          \
    }

#define X87_PLAIN(row, text)                                                                                           \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        x87_begin(m);                                                                                                  \
        x87_note(m, i);                                                                                                \
        __asm__ volatile(text);                                                                                        \
        NEXT;                                                                                                          \
    }

#define X87_LOAD(row, text, size)                                                                                      \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        x87_begin(m);                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        const void *from = x87_rd(m, i->seg, at, size);                                                                \
        x87_note_mem(m, i, at);                                                                                        \
        __asm__ volatile(text " %0" ::"m"(X87_CMEM(from, size)));                                                      \
        NEXT;                                                                                                          \
    }

#define X87_STORE(row, text, size)                                                                                     \
    HANDLER(row)                                                                                                       \
    {                                                                                                                  \
        x87_begin(m);                                                                                                  \
        uint32_t at = ea(m, i);                                                                                        \
        void *to = x87_wr(m, i->seg, at, size);                                                                        \
        x87_note_mem(m, i, at);                                                                                        \
        __asm__ volatile(text " %0" : "+m"(X87_MEM(to, size)));                                                        \
        x87_wr_end(m, to, i->seg, at, size);                                                                           \
        NEXT;                                                                                                          \
    }

#endif
