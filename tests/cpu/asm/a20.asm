; title: with the A20 gate closed addresses above 1 MB wrap
; manual: SDM 3A 8.7.13.4 (A20M#)
; a20: closed
; expect: eax = 0x600d

%include "cpu.inc"
start:
        mov word [0x500], 0x1111
        mov ax, 0xffff
        mov es, ax
        mov word [es:0x510], 0x2222     ; FFFF:0510 = 100500h, the same cell
        CHECK16 [0x500], 0x2222
        PASS
