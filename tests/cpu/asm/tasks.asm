; title: 32-bit task switches by JMP, CALL, IRET, task gate and interrupt; what is saved, loaded, checked
; manual: SDM 3A 7.2 to 7.4, tables 7-1 and 7-2
; expect: eax = 0x600d

%include "cpu.inc"
%include "tss.inc"
T_B    equ SPARE
T_GATE equ SPARE + 8
T_C    equ SPARE + 16
ABSENT equ SPARE + 24
T_LDT  equ SPARE + 32
BUSY   equ 2

start:  PROTECTED
        TSS T_B, task_b, A_TSS32
        TSS T_C, task_c, A_TSS32
        SEGMENT ABSENT, 0, 0xffff, A_DATA & ~0x80, G_BYTE
        SEGMENT T_LDT, ldt, 8 * 8 - 1, A_LDT, 0
        CALLGATE T_GATE, T_B, 0, 0, A_TASK

; CALL: old task stays busy, the new one gets the link and NT
        mov eax, 0x11111111
        mov esi, 0x66666666
        mov edi, 0x77777777
        stc
        call T_B:0x12345678
.back1: jnc bad                         ; EFLAGS came back
        CHECK eax, 0x11111111
        CHECK esi, 0x66666666
        CHECK esp, STACK0
        CHECK [b_eax], 0xa0a0a0a0
        CHECK [b_esp], STACK0 - 0x400
        CHECK [b_link], TSS0
        CHECK [b_flags], 0x4002         ; NT
        CHECK [b_tr], T_B
        CHECK [b_busy], A_TSS32 | BUSY
        CHECK [b_old_busy], A_TSS32 | BUSY
        CHECK [b_cr0], 8                ; TS
        CHECK [tss + 0x20], .back1
        CHECK [tss + 0x28], 0x11111111
        CHECK [tss + 0x44], 0x77777777
        CHECK [tss + 0x4c], CODE0
; IRET freed it again and cleared NT in what it saved
        CHECK16 [gdt + T_B + 4], A_TSS32 << 8
        CHECK [task_b_eflags], 2
        str ax
        CHECK16 ax, TSS0
        clts

; JMP: the old task becomes free, no link
        mov dword [task_b_eip], b_jumps_back
        jmp T_B:0
.back2: CHECK [b_old_busy], A_TSS32
        CHECK [b_flags], 2
        CHECK16 [gdt + TSS0 + 4], (A_TSS32 | BUSY) << 8
        CHECK16 [gdt + T_B + 4], A_TSS32 << 8

; through a task gate, by CALL, JMP and INT
        mov dword [task_b_eip], b_irets
        call T_GATE:0
        mov dword [task_b_eip], b_jumps_back
        jmp T_GATE:0
        mov dword [task_b_eip], b_irets
        GATE 0x40, T_B, 0, A_TASK
        int 0x40
        CHECK [b_link], TSS0
; an exception's error code goes to the new task's stack
        GATE 13, T_B, 0, A_TASK
        mov dword [task_b_eip], b_error
        mov ax, 0x1000
        mov fs, ax
after_error:
        CHECK [b_error_code], 0x1000
        CHECK [b_saved_eip], after_error - 2
        GATE 13, CODE0, trap_13, A_INT32

; busy, absent, short: before the switch
        mov byte [gdt + T_B + 5], A_TSS32 | BUSY
        FAULT 13, T_B, jmp T_B:0
        FAULT 13, T_B, call T_GATE:0
        mov byte [gdt + T_B + 5], A_TSS32 & ~0x80
        FAULT 11, T_B, jmp T_B:0
        mov byte [gdt + T_B + 5], A_TSS32
        mov word [gdt + T_B], 0x66
        FAULT 10, T_B, jmp T_B:0
        mov word [gdt + T_B], 0x67
        mov byte [gdt + T_GATE + 5], A_TASK & ~0x80
        FAULT 11, T_GATE, call T_GATE:0
        CALLGATE T_GATE, T_B + 4, 0, 0, A_TASK      ; a TSS in the LDT
        FAULT 13, T_B + 4, call T_GATE:0
        FAULT 13, T_B, jmp T_B + 3:0                ; RPL above its DPL
        FAULT_AT 13, T_B, user, {RING3 user}
        str ax
        CHECK16 ax, TSS0

; IRET with NT: the link must be a busy TSS: #TS
        push dword 0x4002
        popfd
        mov word [tss], T_B
        FAULT 10, T_B, iretd
        mov word [tss], 0
        push dword 0x4002               ; the fault's gate cleared it
        popfd
        FAULT 10, 0, iretd

; after the switch: the fault belongs to the new task (EIP and TR are its own)
%macro BAD_FIELD 4                      ; vector, error, field, value
        mov dword [%3], %4
        mov byte [gdt + TSS0 + 5], A_TSS32 | BUSY
        mov dword [f_resume], %%in_b
        mov dword [f_safe_esp], STACK0 - 0x400
        mov dword [task_b_eip], b_irets
        mov dword [task_b_eflags], 2
        mov dword [task_b_esp], STACK0 - 0x400
        call T_B:0
        jmp %%home
%%in_b: mov dword [%3], %%sane
%%sane equ DATA0
        CHECK [f_vector], %1
        CHECK [f_error], %2
        CHECK [f_eip], b_irets
        str ax
        CHECK16 ax, T_B
        mov byte [gdt + TSS0 + 5], A_TSS32
        mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov byte [went], 1
        push dword 2
        popfd
        jmp TSS0:0
%%home: CHECK [went], 1
        mov dword [went], 0
        mov dword [task_b_es], DATA0
        mov dword [task_b_ss], DATA0
        mov dword [task_b_cs], CODE0
        mov dword [task_b_ldt], 0
%endmacro
        ; a handler of privilege 0 needs a stack: SS is good in these
        BAD_FIELD 10, 0x1000, task_b_es, 0x1000
        BAD_FIELD 11, ABSENT, task_b_es, ABSENT
        BAD_FIELD 10, TSS0, task_b_es, TSS0

; T flag: debug trap in the new task before its first instruction (8.4, DR6.BT)
        mov dword [task_b_eip], b_irets
        mov word [task_b_trap], 1
        mov dword [f_resume], .trapped
        mov dword [f_safe_esp], STACK0 - 0x400
        call T_B:0
        FAIL
.trapped:
        CHECK [f_vector], 1
        CHECK [f_eip], b_irets
        mov eax, dr6
        and eax, 0xe00f
        CHECK eax, 0x8000
        str ax
        CHECK16 ax, T_B
        PASS
bad:    FAIL

user:   jmp T_B:0

task_b_code:
b_first:
        mov [b_eax], eax
        mov [b_esp], esp
        mov ax, [task_b]
        mov [b_link], ax
        str ax
        mov [b_tr], ax
        mov al, [gdt + T_B + 5]
        mov [b_busy], al
        mov al, [gdt + TSS0 + 5]
        mov [b_old_busy], al
        mov eax, cr0
        and eax, 8
        mov [b_cr0], eax
        pushfd
        pop dword [b_flags]
        mov dword [task_b_eip], 0
        iretd
b_jumps_back:
        mov al, [gdt + TSS0 + 5]
        mov [b_old_busy], al
        pushfd
        pop dword [b_flags]
        jmp TSS0:0
b_irets:
        mov ax, [task_b]
        mov [b_link], ax
        iretd
b_error:
        pop dword [b_error_code]
        mov eax, [tss + 0x20]
        mov [b_saved_eip], eax
        add dword [tss + 0x20], 2       ; behind the MOV
        iretd

        bits 16
        tss32 task_b, b_first, STACK0 - 0x400, 2, CODE0, DATA0
        tss32 task_c, b_first, STACK0 - 0x400, 2, CODE0, DATA0
b_eax:  dd 0
b_esp:  dd 0
b_link: dd 0
b_flags: dd 0
b_tr:   dd 0
b_busy: dd 0
b_old_busy: dd 0
b_cr0:  dd 0
b_error_code: dd 0
b_saved_eip: dd 0
went:   dd 0
