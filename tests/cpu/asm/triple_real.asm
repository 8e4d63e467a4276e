; title: real mode: a stack that cannot take the frame of its own fault shuts the processor down
; manual: SDM 3A 6.15, interrupt 8; SDM 2, PUSHA
; exit: shutdown
; expect: shutdown = 1

%include "cpu.inc"
start:  REAL_HANDLERS
        mov sp, 1
        push ax
        hlt
