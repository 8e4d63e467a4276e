; title: a TSS too short for the inner stack is #TS with its selector; without any stack the processor shuts down
; manual: SDM 3A 5.8.5, 7.2.1; interrupt 10
; exit: shutdown
; expect: [0x10000] = 0x00000048
; expect: [0x10004] = 0x00000001

%include "cpu.inc"
TINY equ SPARE
CONF  equ SPARE + 8

start:  PROTECTED
        SEGMENT TINY, tss, 8, A_TSS32, 0
        SEGMENT CONF, 0, 0xffff, A_CONF, G_BYTE
        mov ax, TINY
        ltr ax
        GATE 10, CONF, no_stack, A_INT32        ; stays in ring 3
        GATE 0x50, CODE0, 0, A_INT32 | DPL3
        RING3 user
user:   int 0x50
no_stack:                                       ; EXT is clear for INT n
        pop dword [ss:SCRATCH]
        inc dword [ss:SCRATCH + 4]
        hlt                                     ; #GP needs an inner stack: #TS, #DF, shutdown
