; title: a fault while a double fault is delivered shuts the processor down
; manual: SDM 3A 6.15, interrupt 8
; exit: shutdown
; expect: shutdown = 1
; expect: ebx = 0x1234

%include "cpu.inc"
start:  PROTECTED
        mov ebx, 0x1234
        lidt [nothing]
        ud2
        mov ebx, 0

nothing: dw 0
        dd 0
