; title: TF: trap after each instruction; POPF, IRET, MOV SS, REP, INT n, faults
; manual: SDM 3B 17.3.1.4; SDM 3A 6.8.3
; expect: eax = 0x600d

%include "cpu.inc"
%macro TF_ON 0.nolist
        push dword 0x102
        popfd
%endmacro
%macro TF_OFF 0.nolist
        push dword 2
        popfd
%endmacro
; STEPS n: so many traps since the last time; then the addresses
%macro STEPS 1.nolist
        CHECK [count], %1
        mov dword [count], 0
%endmacro

start:  PROTECTED
        GATE 1, CODE0, step, A_INT32
        GATE 0x40, CODE0, isr, A_INT32

; the trap comes after the instruction behind POPF, and once more after the POPF that clears TF
        TF_ON
        nop
s1:     inc ebp
s2:     TF_OFF
s3:     STEPS 4
        CHECK [log], s1
        CHECK [log + 4], s2
        CHECK [log + 12], s3
        mov eax, dr6
        CHECK eax, 0xffff4ff0           ; BS
        CHECK [image], 0x102            ; TF in the image, clear in the handler
        CHECK [inside], 2
        xor eax, eax
        mov dr6, eax

; REP traps after each element, at itself
        mov esi, start
        mov edi, SCRATCH
        mov ecx, 3
        TF_ON
r1:     rep movsb
r2:     TF_OFF
        STEPS 5
        CHECK [log], r1
        CHECK [log + 4], r1
        CHECK [log + 8], r2
        CHECK ecx, 0

; MOV SS: no trap after it, one after the next
        mov ax, ss
        TF_ON
        mov ss, ax
        nop
m1:     nop
m2:     TF_OFF
        STEPS 4
        CHECK [log], m1
        CHECK [log + 4], m2

; INT n clears TF: nothing in the handler, nothing for INT itself
        TF_ON
        int 0x40
i1:     nop
i2:     TF_OFF
        STEPS 3
        CHECK [log], i2
        CHECK [in_isr], 0

; IRET that sets TF: the trap follows the first instruction there
        push dword 0x102
        push dword CODE0
        push dword t1
        iretd
t1:     nop
t2:     TF_OFF
        CHECK [log], t2
        STEPS 3

; a fault clears TF with no trap between; its image has TF and RF
        mov dword [f_resume], .after_fault
        mov [f_safe_esp], esp
        TF_ON
        ud2
.after_fault:
        CHECK [f_flags], 0x10102
        STEPS 0

; branches, taken and not
        TF_ON
        jmp b1
        nop
b1:     loop b2
b2:     TF_OFF
        STEPS 4
        CHECK [log], b1
        CHECK [log + 4], b2
        PASS

step:   push eax
        push ebx
        mov ebx, [count]
        mov eax, [esp + 8]
        cmp ebx, 16
        jae .full
        mov [log + ebx * 4], eax
.full:  inc dword [count]
        mov eax, [esp + 16]
        and eax, 0x37302
        or [image], eax
        pushfd
        pop dword [inside]
        and dword [inside], 0x37302
        pop ebx
        pop eax
        iretd
isr:    pushfd
        pop eax
        and eax, 0x100
        mov [in_isr], eax
        iretd

        bits 16
        align 4
count:  dd 0
image:  dd 0
inside: dd 0
in_isr: dd 0
log:    times 16 dd 0
