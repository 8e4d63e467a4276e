; title: real mode: interrupts, limits, far transfers, exceptions without error codes
; manual: SDM 3B 20.1
; expect: eax = 0x600d

%include "cpu.inc"
start:
        REAL_HANDLERS

; INT n pushes FLAGS, CS, IP and clears IF and TF (20.1.4)
        mov word [0x21 * 4], isr
        mov word [0x21 * 4 + 2], 0
        sti
        stc
        int 0x21
after_int:
        jnc bad                 ; IRET brings CF back
        pushf
        pop ax
        test ax, 0x200
        jz bad
        CHECK [seen_ip], after_int
        CHECK16 [seen_flags], 0x203
        CHECK16 [flags_inside], 0x003

; far call and return, RETF n
        cli
        push word 0x1234
        call 0x100:(far_target - 0x1000)
far_back:
        CHECK16 sp, 0x1000
        CHECK [seen_cs], 0x100
        CHECK [seen_ip], far_back

; a far jump with another segment value
        jmp 0x80:(.here - 0x800)
.here:  mov ax, cs
        CHECK16 ax, 0x80
        jmp 0:.back
.back:

; exceptions: EIP at the instruction, or after it for traps
        REAL_FAULT 6, ud2
        xor cx, cx
        REAL_FAULT 0, div cl
        mov ax, 5
        REAL_FAULT 5, bound ax, [limits]
        mov ax, 3
        bound ax, [limits]
        REAL_FAULT 13, mov ax, [dword 0xffff]
        REAL_FAULT 13, mov eax, [dword 0xfffd]
        mov bx, 0xffff
        REAL_FAULT 13, mov [bx], ax
        mov eax, 0x10000
        REAL_FAULT 13, mov cl, [eax]
        mov al, [dword 0xffff]  ; a byte fits
        mov bp, 0xffff
        REAL_FAULT 12, mov ax, [bp]
        REAL_FAULT 13, jmp dword 0x20000
        REAL_FAULT 13, call dword 0x10000

; protected-mode instructions do not exist (20.1.3)
        REAL_FAULT 6, lldt ax
        REAL_FAULT 6, ltr ax
        REAL_FAULT 6, sldt ax
        REAL_FAULT 6, str ax
        REAL_FAULT 6, lar ax, bx
        REAL_FAULT 6, lsl ax, bx
        REAL_FAULT 6, verr ax
        REAL_FAULT 6, verw ax
        REAL_FAULT 6, {db 0x63, 0xc0}   ; arpl

; INTO and INT3 return behind themselves
        mov al, 0x7f
        inc al
        mov word [f_resume], .into
        into
.into_next:
        jmp bad
.into:  CHECK [f_vector], 4
        CHECK [f_eip], .into_next
        mov word [f_resume], .int3
        int3
.int3_next:
        jmp bad
.int3:  CHECK [f_vector], 3
        CHECK [f_eip], .int3_next

; the interrupt table moves and shrinks with IDTR (20.1.4)
        lidt [small_idtr]
        mov word [f_resume], .gone
        int 0x21                ; beyond the limit: #GP through vector 13
        jmp bad
.gone:  CHECK [f_vector], 13
        lidt [real_idtr]

; PUSHF stores IOPL and NT; bit 15 stays 0 on these processors
        push word 0xfeff        ; all but TF
        popf
        pushf
        pop ax
        cli
        push word 2
        popf
        CHECK16 ax, 0x7ed7
        jmp good

isr:    mov bp, sp
        mov ax, [bp]
        mov [seen_ip], ax
        mov ax, [bp + 4]
        mov [seen_flags], ax
        pushf
        pop word [flags_inside]
        and word [flags_inside], 0xfd7
        iret

far_target:
        mov bp, sp
        mov ax, [bp]
        mov [seen_ip], ax
        mov ax, cs
        mov [seen_cs], ax
        retf 2
bad:    FAIL
good:   PASS

        align 4
limits: dw -2, 4
seen_ip: dd 0
seen_cs: dd 0
seen_flags: dw 0
flags_inside: dw 0
small_idtr:
        dw 32 * 4 - 1
        dd 0
