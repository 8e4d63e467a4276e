; title: interrupt and trap gates of both sizes, their checks and error codes
; manual: SDM 3A 6.12.1, 6.13
; expect: eax = 0x600d

%include "cpu.inc"
ABSENT equ SPARE
CONF   equ SPARE + 8
NARROW equ SPARE + 16

start:  PROTECTED
        SEGMENT ABSENT, 0, 0xffff, A_CODE & ~0x80, G_BYTE
        SEGMENT CONF, 0, 0xffff, A_CONF, G_BYTE
        SEGMENT NARROW, 0, 0x0fff, A_CODE, G_BYTE

; a 32-bit interrupt gate clears IF, a trap gate does not; both clear TF, NT, RF, VM
        GATE 0x40, CODE0, isr, A_INT32
        GATE 0x41, CODE0, isr, A_TRAP32
        push dword 0x4202               ; IF cleared later: NT and IF
        or dword [esp], 0x200
        popfd
        int 0x40
.next1: CHECK [isr_flags], 0x4202
        CHECK [isr_cs], CODE0
        CHECK [isr_eip], .next1
        CHECK [isr_inside], 0x2
        CHECK [isr_esp], STACK0 - 12
        int 0x41
        CHECK [isr_inside], 0x202
        push dword 2
        popfd

; 16-bit gates push words
        GATE 0x42, CODE0, isr16, A_INT16
        GATE 0x43, CODE0, isr16, A_TRAP16
        int 0x42
.next2: CHECK [isr_esp], STACK0 - 6
        CHECK16 [isr_eip], .next2
        int 0x43

; software interrupts look at the gate's DPL, exceptions do not
        FAULT_AT 13, 0x40 * 8 + 2, user_int, {RING3 user_int}
        GATE 0x40, CODE0, isr_user, A_INT32 | DPL3
        mov dword [f_resume], .from_user
        mov [f_safe_esp], esp
        RING3 user_int
.from_user:
        CHECK [isr_esp], STACK0 - 20    ; SS, ESP, EFLAGS, CS, EIP
        FAULT_AT 6, NOERR, user_ud, {RING3 user_ud}
        CHECK [f_cs], CODE3
        CHECK [f_esp], STACK3
        CHECK [f_ss], DATA3
        CHECK [f_handler_esp], STACK0 - 28

; a bad gate: #GP or #NP with the vector, IDT bit set, EXT clear for INT n
        GATE 0x44, CODE0, isr, A_INT32 & ~0x80
        FAULT 11, 0x44 * 8 + 2, int 0x44
        GATE 0x44, CODE0, isr, A_TSS32
        FAULT 13, 0x44 * 8 + 2, int 0x44
        GATE 0x44, CODE0, isr, A_CALL32
        FAULT 13, 0x44 * 8 + 2, int 0x44
        GATE 0x44, 0, isr, A_INT32
        FAULT 13, 0, int 0x44
        GATE 0x44, 0x1000, isr, A_INT32
        FAULT 13, 0x1000, int 0x44
        GATE 0x44, DATA0, isr, A_INT32
        FAULT 13, DATA0, int 0x44
        GATE 0x44, ABSENT, isr, A_INT32
        FAULT 11, ABSENT, int 0x44
        GATE 0x44, CODE3, isr, A_INT32
        FAULT 13, CODE3 & ~3, int 0x44          ; to an outer level
        GATE 0x44, NARROW, isr, A_INT32
        FAULT 13, 0, int 0x44                   ; beyond the segment's limit
        o32 lidt [short_idtr]
        FAULT 13, 0x60 * 8 + 2, int 0x60
        o32 lidt [idtr]

; the same by an exception: EXT is set
        GATE 6, CODE0, isr, A_INT32 & ~0x80
        FAULT 11, 6 * 8 + 3, ud2
        GATE 6, DATA0, isr, A_INT32
        FAULT 13, DATA0 + 1, ud2
        GATE 6, CODE0, trap_6, A_INT32

; a conforming handler runs at the interrupted privilege
        GATE 0x45, CONF, conforming, A_INT32 | DPL3
        GATE 0x46, CODE0, back_home, A_INT32 | DPL3
        mov [f_safe_esp], esp
        mov dword [f_resume], .conf
        RING3 user_conf
.conf:  CHECK [SCRATCH], CONF + 3
        CHECK [SCRATCH + 4], STACK3 - 12

; an inner stack that cannot take the frame: #SS with its selector; a bad SS: #TS
        SEGMENT SPARE + 24, 0, 0x0fff, A_DATA, G_BYTE
        mov dword [tss_esp0 + 4], SPARE + 24
        GATE 12, TSS0, 0, A_TASK        ; not usable: makes a double fault
        GATE 8, TSK_DF, 0, A_TASK
        mov word [gdt + TSK_DF], 0x67
        mov word [gdt + TSK_DF + 2], tss_df
        mov word [gdt + TSK_DF + 4], A_TSS32 << 8
        mov dword [df_eip], .double
        RING3 user_ud
.double:
        ; in the task of the double fault: error code 0 on its stack
        CHECK [esp], 0
        mov [SCRATCH], cs
        PASS

TSK_DF equ SPARE + 32

user_int: int 0x40
        ud2
user_ud: ud2
user_conf:
        mov ax, DATA3
        mov ds, ax
        int 0x45
        int 0x46
        ud2

isr:    mov [isr_esp], esp
        pop dword [isr_eip]
        pop dword [isr_cs]
        pop dword [isr_flags]
        sub esp, 12
        pushfd
        pop dword [isr_inside]
        push eax
        lahf
        pop eax
        push dword [isr_flags]
        and dword [isr_inside], 0x37200
        or dword [isr_inside], 2
        and dword [esp + 12], ~0x4000   ; NT would make IRET switch tasks
        pop dword [isr_flags]
        iretd
isr16:  mov [ss:isr_esp], esp
        mov ax, [esp]
        mov [isr_eip], ax
        o16 iret
isr_user:
        mov [ss:isr_esp], esp
back_home:
        mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov esp, [f_safe_esp]
        jmp [f_resume]
conforming:
        mov eax, cs
        mov [SCRATCH], eax
        mov [SCRATCH + 4], esp
        iretd

        bits 16
        align 4
isr_esp: dd 0
isr_eip: dd 0
isr_cs: dd 0
isr_flags: dd 0
isr_inside: dd 0
short_idtr: dw 0x50 * 8 - 1
        dd idt
tss_df: times 8 dd 0
df_eip: dd 0
        dd 2                            ; EFLAGS
        times 4 dd 0
        dd STACK0 - 0x800               ; ESP
        times 3 dd 0
        dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0
        dd 0, 0
