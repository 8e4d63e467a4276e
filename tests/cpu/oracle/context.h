/*
 * Offsets in struct context for enter.S; oracle.c checks each against the struct.
 */
#ifndef ORACLE_CONTEXT_H
#define ORACLE_CONTEXT_H

#define CTX_GPR 0       /* u32[8] in and out */
#define CTX_EFLAGS 32   /* u64 in and out */
#define CTX_SEG 40      /* u16[6] es cs ss ds fs gs, in and out */
#define CTX_TARGET 52   /* u32 eip, u16 cs: operand of the far jump in */
#define CTX_HOST_RSP 64 /* u64 */
#define CTX_LANDING 72  /* u64: where the gate page jumps to */
#define CTX_FX 128      /* FXSAVE image in and out */

#endif
