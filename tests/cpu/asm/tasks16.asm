; title: 16-bit tasks: switches between 16-bit and 32-bit TSS, 16-bit segments, inner stacks of a 16-bit TSS
; manual: SDM 3A 7.6
; expect: eax = 0x600d

%include "cpu.inc"
%include "tss.inc"
T_B    equ SPARE
T_USER equ SPARE + 8

start:  PROTECTED
        SEGMENT T_B, task_b, 0x2b, A_TSS16, 0
        SEGMENT T_USER, task_user, 0x2b, A_TSS16, 0
        mov eax, 0x12345678
        mov esi, 0x9abcdef0
        call T_B:0
.back:  CHECK eax, 0x12345678           ; the 32-bit task has all of its registers
        CHECK esi, 0x9abcdef0
        CHECK [b_ax], 0xa0a0
        CHECK16 [b_sp], STACK0 - 0x400
        CHECK16 [b_link], TSS0
        CHECK16 [b_flags], 0x4002
        CHECK16 [b_fs], 0               ; a 16-bit TSS has no FS
        CHECK16 [task_b_ip], after_iret ; saved at IRET
        CHECK16 [gdt + T_B + 4], A_TSS16 << 8

; too short for a 16-bit task
        mov word [gdt + T_B], 0x2a
        FAULT 10, T_B, call T_B:0
        mov word [gdt + T_B], 0x2b

; a 16-bit task in ring 3; INT takes the stack of its 16-bit TSS
        GATE 0x50, CODE0, home, A_INT32 | DPL3
        jmp T_USER:0

home:   mov eax, esp
        mov bx, ss
        mov cx, DATA0
        mov ds, cx
        CHECK eax, STACK0 - 20
        CHECK16 bx, DATA0
        CHECK16 [esp + 4], CODE3
        CHECK16 [esp + 16], DATA3
        str ax
        CHECK16 ax, T_USER
        PASS

        bits 16
b_code: mov [b_ax], ax
        mov [b_sp], sp
        mov ax, [task_b]
        mov [b_link], ax
        pushf
        pop word [b_flags]
        mov ax, fs
        mov [b_fs], ax
        iret
after_iret:
        jmp b_code
        bits 32
user_code:
        int 0x50
        bits 16

        tss16 task_b, b_code, STACK0 - 0x400, 2, CODE16, DATA16
        tss16 task_user, user_code, STACK3, 2, CODE3, DATA3
        align 4
b_ax:   dd 0
b_sp:   dw 0
b_link: dw 0
b_flags: dw 0
b_fs:   dw 0xffff
