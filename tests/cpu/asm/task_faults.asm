; title: faults of the second half of a task switch: LDT, SS, CS, data segments, in that order, in the new task; a V86 task
; manual: SDM 3A table 7-1, 7.3; 3B 20.2.6
; expect: eax = 0x600d

%include "cpu.inc"
%include "tss.inc"
T_B    equ SPARE
T_F    equ SPARE + 8            ; handler of #TS, #NP, #SS: a task of its own
T_V    equ SPARE + 16
GONE_C equ SPARE + 24
GONE_D equ SPARE + 32
GONE_L equ SPARE + 40
T_TINY equ SPARE + 48
USER_D equ SPARE + 56

; BAD vector, error, field, value: switching to B with this field faults there
%macro BAD 4
        TSS T_B, task_b, A_TSS32
        TSS T_F, task_f, A_TSS32
        mov dword [task_b_eip], b_code
        mov dword [task_b_esp], STACK0 - 0x400
        mov dword [task_b_eflags], 2
        mov dword [task_f_eip], f_code
        mov dword [task_f_esp], STACK0 - 0x800
        mov byte [gdt + TSS0 + 5], A_TSS32 | 2
        mov dword [error], -1
        push dword [%3]
        mov dword [%3], %4
        GATE %1, T_F, 0, A_TASK
        call T_B:0
        pop dword [%3]
        CHECK [error], %2
        CHECK [link], T_B
        CHECK [task_b_eip], b_code      ; EIP of the new task
        CHECK [busy], A_TSS32 | 2
        push dword 2
        popfd
%endmacro

start:  PROTECTED
        SEGMENT GONE_C, 0, 0xffff, A_CODE & ~0x80, G_BYTE
        SEGMENT GONE_D, 0, 0xffff, A_DATA & ~0x80, G_BYTE
        SEGMENT GONE_L, 0, 0xffff, A_LDT & ~0x80, 0
        SEGMENT USER_D, 0, 0xffff, A_DATA | DPL3, G_BYTE
        BAD 10, DATA0, task_b_ldt, DATA0
        BAD 10, GONE_L, task_b_ldt, GONE_L
        BAD 10, LDT0 + 4, task_b_ldt, LDT0 + 4
        BAD 10, 0, task_b_ss, 0
        BAD 10, CODE0, task_b_ss, CODE0
        BAD 10, USER_D, task_b_ss, USER_D + 3
        BAD 12, GONE_D, task_b_ss, GONE_D
        BAD 10, 0, task_b_cs, 0
        BAD 10, DATA0, task_b_cs, DATA0
        BAD 10, CODE3 & ~3, task_b_cs, CODE3 & ~3
        BAD 11, GONE_C, task_b_cs, GONE_C
        BAD 10, 0x1000, task_b_es, 0x1000
        BAD 10, TSS0, task_b_es, TSS0
        BAD 11, GONE_D, task_b_es, GONE_D
        GATE 10, CODE0, trap_10, A_INT32
        GATE 11, CODE0, trap_11, A_INT32

; before the switch: the selector of the TSS itself
        GATE 0x40, T_B + 4, 0, A_TASK
        FAULT 13, T_B + 4, int 0x40
        GATE 0x40, 0x1000, 0, A_TASK
        FAULT 13, 0x1000, int 0x40
        GATE 0x40, DATA0, 0, A_TASK
        FAULT 13, DATA0, int 0x40
        TSS T_B, task_b, A_TSS32 & ~0x80
        GATE 0x40, T_B, 0, A_TASK
        FAULT 11, T_B, int 0x40
        TSS T_B, task_b, A_TSS32
; an old TSS without room for the state
        SEGMENT T_TINY, task_f, 0x5e, A_TSS32, 0
        mov ax, T_TINY
        ltr ax
        FAULT 10, T_TINY, call T_B:0
        mov byte [gdt + TSS0 + 5], A_TSS32
        mov ax, TSS0
        ltr ax

; a task in virtual-8086 mode: segments as there, LDT loaded all the same; INT brings back a task that IRET resumes
        TSS T_V, task_v, A_TSS32
        mov dword [task_v_es], 0x1111
        mov dword [task_v_cs], 0
        mov dword [task_v_ss], 0
        mov word [task_v_ldt], LDT0
        TSS T_F, task_f, A_TSS32
        mov dword [task_f_eip], v_left
        GATE 0x50, T_F, 0, A_TASK | DPL3
        jmp T_V:0

b_code: iretd
f_code: pop dword [error]
        mov ax, [task_f]
        mov [link], ax
        mov al, [gdt + T_B + 5]
        mov [busy], al
        mov dword [task_b_eip], b_code
        mov esp, STACK0 - 0x900
        ; B cannot run: go back to the main task directly
        mov eax, [tss + 0x20]
        pushfd
        and dword [esp], ~0x4000
        popfd
        mov byte [gdt + TSS0 + 5], A_TSS32
        jmp TSS0:0

v_left: CHECK [task_v_eflags], 0x23002
        CHECK [task_v_eip], v_back
        CHECK [task_v_es], 0x2222
        CHECK [task_v_cs], 0
        CHECK [task_v_eax], 0x00001111
        sldt ax
        CHECK16 ax, 0
        mov dword [task_f_eip], 0
        iretd
v_again:
        CHECK [task_v_eip], v_end
        PASS

        bits 16
v_code: mov eax, 0
        mov ax, es
        mov bx, 0x2222
        mov es, bx
        int 0x50
v_back: mov dword [cs:task_f_eip], v_again
        int 0x50
v_end:

        tss32 task_b, b_code, STACK0 - 0x400, 2, CODE0, DATA0
        tss32 task_f, f_code, STACK0 - 0x800, 2, CODE0, DATA0
        tss32 task_v, v_code, STACK3, 0x23002, 0, 0
error:  dd 0
link:   dd 0
busy:   dd 0
