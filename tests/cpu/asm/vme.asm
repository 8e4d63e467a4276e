; title: CR4.VME: redirected INT n, virtual interrupt flag in virtual-8086 mode; CR4.PVI at ring 3
; manual: SDM 3B 20.3.3, 20.4, table 20-2
; expect: eax = 0x600d

%include "cpu.inc"
VM   equ 0x20000
VIF  equ 0x80000
VIP  equ 0x100000
HOME equ 0x50

%macro V86 2.nolist
        push dword 0
        push dword 0
        push dword 0
        push dword 0
        push dword 0
        push dword STACK3
        push dword %2
        push dword 0
        push dword %1
        iretd
%endmacro
%macro VISIT 2.nolist
        mov [f_safe_esp], esp
        mov dword [f_resume], %%back
        V86 %1, %2
%%back:
%endmacro

start:  PROTECTED
        GATE HOME, CODE0, home, A_INT32 | DPL3
        GATE 3, CODE0, home, A_INT32 | DPL3
        mov eax, cr4
        or eax, 1
        mov cr4, eax
        and byte [io_map - 32 + 0x21 / 8], ~(1 << (0x21 & 7))   ; INT 21h goes to the 8086 program
        mov dword [0x21 * 4], isr21

; redirected INT n below IOPL 3: VIF in place of IF, IOPL reads 3; IRET brings VIF back
        VISIT redirected, VM + VIF + 2
        CHECK [buffer], 0x3202          ; image on the stack
        CHECK [buffer + 4], 0x3002      ; PUSHF inside: VIF clear
        CHECK [buffer + 8], 0x3202      ; after IRET
        CHECK [frame + 8], VM + VIF + 2
; at IOPL 3: IF itself
        VISIT redirected, VM + 0x3202
        CHECK [buffer], 0x3202
        CHECK [buffer + 4], 0x3002
        CHECK [buffer + 8], 0x3202

; not redirected: #GP(0) below IOPL 3, the protected-mode gate at IOPL 3
        FAULT_AT 13, 0, int22, {V86 int22, VM + 2}
        GATE 0x22, CODE0, home, A_INT32 | DPL3
        VISIT int22, VM + 0x3002

; CLI and STI act on VIF
        VISIT cli_sti, VM + 2
        CHECK [frame + 8], VM + VIF + 2
        VISIT cli_only, VM + VIF + 2
        CHECK [frame + 8], VM + 2
; STI with VIP set, POPF and IRET that would set VIF with VIP: #GP(0)
        FAULT_AT 13, 0, cli_sti.sti, {V86 cli_sti, VM + VIP + 2}
        FAULT_AT 13, 0, popf_if.popf, {V86 popf_if, VM + VIP + 2}
        VISIT popf_if, VM + 2
        CHECK [frame + 8], VM + VIF + 2
; POPF may not set TF; 32-bit PUSHF and POPF stay forbidden
        FAULT_AT 13, 0, popf_tf.popf, {V86 popf_tf, VM + 2}
        FAULT_AT 13, 0, wide, {V86 wide, VM + 2}

; nor may IRET
        FAULT_AT 13, 0, iret_tf.iret, {V86 iret_tf, VM + 2}
        FAULT_AT 13, 0, iret_if.iret, {V86 iret_if, VM + VIP + 2}
        VISIT iret_if, VM + 2
        CHECK [frame + 8], VM + VIF + 2

; CR4.PVI: ring 3 STI and CLI act on VIF
        FAULT_AT 13, 0, ring3, {RING3 ring3}
        mov eax, cr4
        or eax, 2
        mov cr4, eax
        mov [f_safe_esp], esp
        mov dword [f_resume], .pvi
        RING3 ring3
.pvi:   CHECK [frame + 8], VIF + 2
        FAULT_AT 13, 0, ring3, {RING3 ring3, VIP + 2}
        PASS

ring3:  sti
        int HOME

        bits 16
redirected:
        int 0x21
        pushf
        pop word [cs:buffer + 8]
        int3
isr21:  mov bp, sp
        mov ax, [bp + 4]
        mov [cs:buffer], ax
        pushf
        pop word [cs:buffer + 4]
        iret
int22:  int 0x22
cli_sti:
        cli
.sti:   sti
        int3
cli_only:
        cli
        int3
popf_if:
        push word 0x202
.popf:  popf
        int3
popf_tf:
        push word 0x102
.popf:  popf
        int3
iret_tf:
        push word 0x102
        push word 0
        push word .next
.iret:  iret
.next:  int3
iret_if:
        push word 0x202
        push word 0
        push word .next
.iret:  iret
.next:  int3
wide:   pushfd
        bits 32

home:   mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov esi, esp
        mov edi, frame
        mov ecx, 5
        rep movsd
        mov esp, [f_safe_esp]
        jmp [f_resume]

        align 4
frame:  times 5 dd 0
buffer: dd 0, 0, 0
