; title: NMI is taken whatever IF is, and masked until the next IRET
; manual: SDM 3A 6.7
; expect: eax = 0x600d
; expect: nmi_masked = 0

%include "cpu.inc"
%macro NMI 0.nolist
        out 0xe1, al
%endmacro

start:  PROTECTED
        GATE 2, CODE0, isr, A_INT32
        NMI
        nop
        CHECK [count], 2                ; the second, asked for in the handler, came after the first's IRET
        CHECK [depth], 0
        CHECK [deepest], 1
        mov dword [again], 0
        NMI
        CHECK [count], 3
        PASS

isr:    inc dword [count]
        inc dword [depth]
        mov eax, [depth]
        cmp eax, [deepest]
        jbe .not_deeper
        mov [deepest], eax
.not_deeper:
        cmp dword [again], 0
        je .done
        mov dword [again], 0
        NMI
        nop
.done:  dec dword [depth]
        iretd

        bits 16
        align 4
count:  dd 0
depth:  dd 0
deepest: dd 0
again:  dd 1
