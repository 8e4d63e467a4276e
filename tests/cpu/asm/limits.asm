; title: targets of far and near transfers beyond the limit of CS; accessed bits of what they load
; manual: SDM 3A 5.3, 3.4.5.1; SDM 2, JMP, CALL, RET, IRET
; expect: eax = 0x600d

%include "cpu.inc"
NARROW equ SPARE                ; code, 4 KB
GONE   equ SPARE + 8
GATE0  equ SPARE + 16
FRESH  equ SPARE + 24
CONF   equ SPARE + 32
HOME   equ 0x50

start:  REAL_HANDLERS
        REAL_FAULT 13, jmp dword 0:0x12345
        REAL_FAULT 13, call dword 0:0x10000
        REAL_FAULT 13, jmp dword 0x12345
        REAL_FAULT 13, call dword 0x12345
        mov eax, 0x10000
        REAL_FAULT 13, jmp eax
        REAL_FAULT 13, call eax
        push dword 0
        push dword 0
        push dword 0x10000
        REAL_FAULT 13, o32 ret
        REAL_FAULT 13, o32 ret 4
        REAL_FAULT 13, o32 retf
        REAL_FAULT 13, o32 retf 4
        REAL_FAULT 13, o32 iret
        CHECK16 sp, 0x1000 - 12
        add sp, 12
        xor ecx, ecx
        REAL_FAULT 13, {db 0x66, 0x0f, 0x83, 0, 0, 1, 0}      ; jnc + 64 KB
        CHECK16 sp, 0x1000

        PROTECTED
        GATE HOME, CODE0, home, A_INT32 | DPL3
        SEGMENT NARROW, 0, 0x0fff, A_CODE, G_BYTE
        SEGMENT GONE, 0, 0xffff, A_CODE & ~0x80, G_BYTE
        FAULT 13, 0, jmp NARROW:0x1000
        FAULT 13, 0, call NARROW:0x1000
        CALLGATE GATE0, NARROW, 0x1000, 0, A_CALL32
        FAULT 13, 0, jmp GATE0:0
        FAULT 13, 0, call GATE0:0
        CHECK esp, STACK0
        push dword 2
        push dword NARROW
        push dword 0x1000
        FAULT 13, 0, retf
        FAULT 13, 0, iretd
        mov dword [esp + 4], GONE
        FAULT 11, GONE, retf
        FAULT 11, GONE, iretd
        mov dword [esp + 4], 0
        FAULT 13, 0, iretd
        CHECK esp, STACK0 - 12
        mov esp, STACK0
        FAULT 13, LDT0, jmp LDT0:0
        FAULT 13, TSS0, jmp TSS0:0      ; busy
        CALLGATE GATE0, CODE0, 0, 0, A_INT32
        FAULT 13, GATE0, call GATE0:0

; accessed bits: code by JMP, CALL, RET, IRET, gates
%macro ACCESSED 1+
        SEGMENT FRESH, 0, 0xffff, A_CODE, G_BYTE
        %1
        CHECK16 [gdt + FRESH + 4], (A_CODE | 1) << 8
        jmp CODE0:%%home
%%home:
%endmacro
        ACCESSED jmp FRESH:.j
.j:
        ACCESSED call FRESH:.c
.c:     mov esp, STACK0
        push dword FRESH
        push dword .r
        ACCESSED retf
.r:
        push dword 2
        push dword FRESH
        push dword .i
        ACCESSED iretd
.i:
        CALLGATE GATE0, FRESH, .g, 0, A_CALL32
        ACCESSED jmp GATE0:0
.g:
        GATE 0x40, FRESH, .v, A_INT32
        ACCESSED int 0x40
.v:
        mov esp, STACK0
; ... and the stacks of inner and outer levels
        SEGMENT FRESH, 0, 0xffff, A_DATA, G_BYTE
        mov dword [tss_esp0 + 4], FRESH
        mov [f_safe_esp], esp
        mov dword [f_resume], .inner
        RING3 user
.inner: CHECK16 [gdt + FRESH + 4], (A_DATA | 1) << 8
        mov ax, ss
        CHECK16 ax, FRESH
        mov dword [tss_esp0 + 4], DATA0
        mov ax, DATA0
        mov ss, ax
        SEGMENT FRESH, 0, 0xffff, A_DATA | DPL3, G_BYTE
        mov dword [f_resume], .outer
        push dword FRESH + 3
        push dword STACK3
        push dword CODE3
        push dword user
        retf
.outer: CHECK16 [gdt + FRESH + 4], (A_DATA | DPL3 | 1) << 8

; IRET outward drops segments that ring 3 may not use
        mov dword [f_resume], .dropped
        RING3 segments
.dropped:
        CHECK ecx, 0
        CHECK edx, 0

        PASS

user:   int HOME
segments:
        mov ecx, ds
        mov edx, es
        int HOME
home:   mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov esp, [f_safe_esp]
        jmp [f_resume]
