; title: LLDT, LTR, SLDT, STR: checks, busy bit, operand sizes; a null LDT
; manual: SDM 2, LLDT, LTR, SLDT, STR; SDM 3A 2.4, 5.2
; expect: eax = 0x600d

%include "cpu.inc"
ABSENT_LDT equ SPARE
ABSENT_TSS equ SPARE + 8
TSS1       equ SPARE + 16

start:  PROTECTED
        SEGMENT ABSENT_LDT, 0, 0xff, A_LDT & ~0x80, 0
        SEGMENT ABSENT_TSS, 0, 0xff, A_TSS32 & ~0x80, 0
        SEGMENT TSS1, 0, 0xff, A_TSS32, 0
%macro REJECTS 4                        ; instruction, selector, vector, error
        mov ax, %2
        FAULT %3, %4, %1 ax
%endmacro
        REJECTS lldt, LDT0 + 4, 13, LDT0 + 4
        REJECTS lldt, DATA0, 13, DATA0
        REJECTS lldt, TSS0, 13, TSS0
        REJECTS lldt, 0x1000, 13, 0x1000
        REJECTS lldt, ABSENT_LDT, 11, ABSENT_LDT
        REJECTS ltr, 0, 13, 0
        REJECTS ltr, TSS1 + 4, 13, TSS1 + 4
        mov dword [ldt + 16], 0x000000ff        ; a TSS in the LDT
        mov dword [ldt + 20], 0x00008900
        REJECTS ltr, 16 + 4, 13, 16 + 4
        FAULT 13, 16 + 4, jmp 16 + 4:0
        REJECTS ltr, LDT0, 13, LDT0
        REJECTS ltr, DATA0, 13, DATA0
        REJECTS ltr, TSS0, 13, TSS0     ; busy
        REJECTS ltr, 0x1000, 13, 0x1000
        REJECTS ltr, ABSENT_TSS, 11, ABSENT_TSS
        FAULT 13, ABSENT_LDT, jmp ABSENT_LDT:0  ; the type comes before presence
; nothing was loaded; 32-bit registers are zero-extended, memory takes 16 bits
        mov ebx, -1
        str ebx
        CHECK ebx, TSS0
        mov ebx, -1
        sldt ebx
        CHECK ebx, LDT0
        mov ebx, -1
        str bx
        CHECK ebx, 0xffff0000 + TSS0
        mov dword [SCRATCH], -1
        str [SCRATCH]
        CHECK [SCRATCH], 0xffff0000 + TSS0
        mov dword [SCRATCH], -1
        sldt [SCRATCH]
        CHECK [SCRATCH], 0xffff0000 + LDT0
; LTR marks busy, and leaves the old one so
        mov ax, TSS1
        ltr ax
        CHECK16 [gdt + TSS1 + 4], (A_TSS32 | 2) << 8
        CHECK16 [gdt + TSS0 + 4], (A_TSS32 | 2) << 8
; the LDT is used, bounded by its limit, and gone after LLDT 0
        mov dword [ldt + 8], 0x0000ffff
        mov dword [ldt + 12], 0x00409200
        mov ax, 8 + 4
        mov fs, ax
        mov ax, 8 * 8 + 4
        FAULT 13, 8 * 8 + 4, mov fs, ax
        xor ax, ax
        lldt ax
        mov ax, 8 + 4
        FAULT 13, 8 + 4, mov fs, ax
        mov ebx, 4
        lar ecx, ebx
        jz bad
        PASS
bad:    FAIL
