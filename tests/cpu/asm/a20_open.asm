; title: with the A20 gate open addresses above 1 MB are their own
; manual: SDM 3A 8.7.13.4 (A20M#)
; expect: eax = 0x600d
; expect: [0x100500] = 0x00002222

%include "cpu.inc"
start:
        mov word [0x500], 0x1111
        mov ax, 0xffff
        mov es, ax
        mov word [es:0x510], 0x2222
        CHECK16 [0x500], 0x1111
        PASS
