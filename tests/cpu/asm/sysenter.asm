; title: SYSENTER and SYSEXIT: flat segments from the MSRs, flags, checks
; manual: SDM 2, SYSENTER, SYSEXIT; SDM 3A 5.8.7
; expect: eax = 0x600d

%include "cpu.inc"
CS_MSR  equ 0x174
ESP_MSR equ 0x175
EIP_MSR equ 0x176
%macro WRITE_MSR 2.nolist
        mov ecx, %1
        mov eax, %2
        xor edx, edx
        wrmsr
%endmacro

start:  PROTECTED
        FAULT 13, 0, sysenter           ; SYSENTER_CS is 0
        FAULT 13, 0, sysexit
        WRITE_MSR CS_MSR, CODE0
        WRITE_MSR ESP_MSR, STACK0 - 0x100
        WRITE_MSR EIP_MSR, entry
        mov ecx, ESP_MSR
        rdmsr
        CHECK eax, STACK0 - 0x100

; ring 3 (CS + 16 and + 24 = 18h, 20h) calls in
        RING3 user, 0x3202
user:   mov ebp, 0x1234
        sysenter
        ud2
entry:  mov ax, ss
        CHECK16 ax, DATA0
        mov ax, cs
        CHECK16 ax, CODE0
        mov ax, DATA0
        mov ds, ax
        CHECK esp, STACK0 - 0x100
        CHECK ebp, 0x1234
        pushfd
        pop eax
        and eax, 0x37302
        CHECK eax, 0x3002               ; IF clear
        cmp dword [round], 1
        je done
        inc dword [round]
        mov ecx, STACK3
        mov edx, user2
        sysexit
user2:  mov ax, cs
        mov bx, ss
        mov [ss:SCRATCH], ax
        mov [ss:SCRATCH + 2], bx
        mov [ss:SCRATCH + 4], esp
        sysenter
done:   CHECK [SCRATCH], CODE3 | DATA3 << 16
        CHECK [SCRATCH + 4], STACK3
        mov eax, cr0
        and al, 0xfe
        ; SYSENTER in real mode is #GP: seen by the real-mode vector
        jmp CODE16:.narrow
        bits 16
.narrow:
        mov ax, DATA16
        mov ss, ax
        mov ds, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:.real
.real:  xor ax, ax
        mov ss, ax
        mov ds, ax
        mov sp, 0x1000
        lidt [real_idtr]
        REAL_HANDLERS
        REAL_FAULT 13, sysenter
        PASS

        align 4
round:  dd 0
