; title: segment limits, expand-down, rights, null selectors, LAR, LSL, VERR, VERW, ARPL
; manual: SDM 3A 3.4.5, 5.2 to 5.5; SDM 2, LAR, LSL, VERR, ARPL
; expect: eax = 0x600d

%include "cpu.inc"
UP     equ SPARE
DOWN   equ SPARE + 8
DOWN16 equ SPARE + 16
RO     equ SPARE + 24
RX     equ SPARE + 32
XO     equ SPARE + 40
ABSENT equ SPARE + 48
USER   equ SPARE + 56
CONF   equ SPARE + 64

start:  PROTECTED
        SEGMENT UP, 0, 0x1fff, A_DATA, G_BYTE
        SEGMENT DOWN, 0, 0x1fff, A_DOWN, G_BYTE
        SEGMENT DOWN16, 0, 0x1fff, A_DOWN, 0
        SEGMENT RO, 0, 0xffff, A_RDATA, G_BYTE
        SEGMENT RX, 0, 0xffff, A_RCODE, G_BYTE
        SEGMENT XO, 0, 0xffff, A_XCODE, G_BYTE
        SEGMENT ABSENT, 0, 0xffff, A_DATA & ~0x80, G_BYTE
        SEGMENT USER, 0, 0xffff, A_DATA | DPL3, G_BYTE
        SEGMENT CONF, 0, 0xffff, A_CONF, G_BYTE

; expand-up: the last byte is at the limit
        mov ax, UP
        mov fs, ax
        mov al, [fs:0x1fff]
        mov ax, [fs:0x1ffe]
        FAULT 13, 0, mov al, [fs:0x2000]
        FAULT 13, 0, mov ax, [fs:0x1fff]
        FAULT 13, 0, mov eax, [fs:0x1ffd]
        FAULT 13, 0, mov [fs:0x1ffd], eax
        FAULT 13, 0, mov al, [fs:0xffffffff]
        mov ax, UP
        mov ss, ax
        mov esp, 0x1000
        mov ebp, 0x2000
        FAULT 12, 0, mov al, [ebp]          ; through SS it is #SS
        mov ax, DATA0
        mov ss, ax
        mov esp, STACK0

; expand-down: the first byte is above the limit, the last FFFFFFFFh or FFFFh by B
        mov ax, DOWN
        mov fs, ax
        mov al, [fs:0x2000]
        FAULT 13, 0, mov al, [fs:0x1fff]
        FAULT 13, 0, mov eax, [fs:0x1ffd]
        mov al, [fs:0x20000]
        mov ax, DOWN16
        mov fs, ax
        mov al, [fs:0xffff]
        FAULT 13, 0, mov ax, [fs:0xffff]
        FAULT 13, 0, mov al, [fs:0x10000]

; rights
        mov ax, RO
        mov fs, ax
        mov al, [fs:0]
        FAULT 13, 0, mov [fs:0], al
        FAULT 13, 0, inc byte [fs:0]
        mov ax, RX
        mov fs, ax
        mov al, [fs:0]
        FAULT 13, 0, mov [fs:0], al
        FAULT 13, 0, mov [cs:0], al
        mov ax, XO
        FAULT 13, XO, mov fs, ax
        mov ax, ABSENT
        FAULT 11, ABSENT, mov fs, ax
        FAULT 12, ABSENT, mov ss, ax
        mov ax, RO
        FAULT 13, RO, mov ss, ax
        mov ax, USER
        FAULT 13, USER, mov ss, ax          ; DPL is not CPL
        mov ax, DATA0 + 1
        FAULT 13, DATA0, mov ss, ax         ; RPL is not CPL
        mov ax, TSS0
        FAULT 13, TSS0, mov fs, ax
        mov ax, 0x1000
        FAULT 13, 0x1000, mov fs, ax        ; outside the table
        mov ax, 0x404
        FAULT 13, 0x404, mov fs, ax         ; outside the LDT

; null selectors load, and fault when used
        mov ax, 3
        mov fs, ax
        mov bx, fs
        CHECK16 bx, 3
        FAULT 13, 0, mov al, [fs:0]
        FAULT 13, 0, mov [fs:0], al
        xor ax, ax
        FAULT 13, 0, mov ss, ax

; a load sets the accessed bit
        CHECK16 [gdt + CONF + 4], A_CONF << 8
        mov ax, CONF
        mov fs, ax
        CHECK16 [gdt + CONF + 4], (A_CONF | 1) << 8

; far pointers load the segment first, the register only if that succeeds
        mov eax, 0x1111
        FAULT 11, ABSENT, lfs eax, [far_absent]
        CHECK eax, 0x1111
        lfs eax, [far_good]
        CHECK eax, 0x12345678
        mov bx, fs
        CHECK16 bx, UP

; LAR gives bits 8-23 of the high doubleword (16-19 are undefined in the manual)
        mov ecx, UP
        lar eax, ecx
        jnz bad
        CHECK eax, 0x00409300
        mov ecx, TSS0
        lar eax, ecx
        jnz bad
        CHECK eax, 0x00008b00               ; busy by now
        mov eax, 0x5555
        xor ecx, ecx
        lar eax, ecx
        jz bad
        CHECK eax, 0x5555
        CALLGATE SPARE + 72, CODE0, 0, 0, A_CALL32
        mov ecx, SPARE + 72
        lar eax, ecx                        ; a call gate has rights
        jnz bad
        lsl eax, ecx                        ; but no limit
        jz bad
        mov byte [gdt + SPARE + 72 + 5], A_INT32
        lar eax, ecx                        ; an interrupt gate has neither
        jz bad
        mov ecx, ABSENT
        lar eax, ecx                        ; P does not matter
        jnz bad

; LSL scales by G
        mov ecx, DATA0
        lsl eax, ecx
        jnz bad
        CHECK eax, 0xffffffff
        mov ecx, UP
        lsl eax, ecx
        CHECK eax, 0x1fff
        mov eax, 0x77770000
        o16 lsl ax, cx
        CHECK eax, 0x77771fff

; privilege: DPL below max(CPL, RPL) is invisible, but for conforming code
        mov ecx, UP + 3
        lar eax, ecx
        jz bad
        mov ecx, CONF + 3
        lar eax, ecx
        jnz bad
        mov ecx, USER + 3
        lar eax, ecx
        jnz bad

; VERR and VERW
        mov cx, RO
        verr cx
        jnz bad
        verw cx
        jz bad
        mov cx, XO
        verr cx
        jz bad
        mov cx, RX
        verr cx
        jnz bad
        verw cx
        jz bad
        mov cx, UP
        verw cx
        jnz bad
        mov cx, UP + 3
        verw cx
        jz bad
        mov cx, TSS0
        verr cx
        jz bad
        mov cx, 0
        verr cx
        jz bad

; ARPL raises RPL and says so by ZF
        mov eax, 0x10
        mov ebx, 3
        arpl ax, bx
        jnz bad
        CHECK eax, 0x13
        mov ebx, 1
        arpl ax, bx
        jz bad
        CHECK eax, 0x13
        mov word [SCRATCH], 0x20
        mov bx, 2
        arpl [SCRATCH], bx
        CHECK16 [SCRATCH], 0x22
        PASS
bad:    FAIL

        align 4
far_absent: dd 0x2222
        dw ABSENT
far_good: dd 0x12345678
        dw UP
