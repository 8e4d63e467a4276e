/*
 * The way into a case and the two ways out of it (its end, a signal). Owns nothing but the switch: struct context is the
 * only memory it touches. r15 points to it all the time: R8 to R15 survive compatibility mode (SDM 1, 3.4.1.1).
 * From the first case on FS holds no thread pointer: nothing that runs later may use thread-local storage.
 */
#include "context.h"

    .intel_syntax noprefix
    .text

/* int oracle_enter(void): runs the case in oracle_context; 0 = reached its end, 1 = left by a signal. */
    .globl oracle_enter
    .type oracle_enter, @function
oracle_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    lea r15, oracle_context[rip]
    mov [r15 + CTX_HOST_RSP], rsp
    fxrstor [r15 + CTX_FX]
    mov es, [r15 + CTX_SEG]
    mov ds, [r15 + CTX_SEG + 6]
    mov fs, [r15 + CTX_SEG + 8]
    mov gs, [r15 + CTX_SEG + 10]
    push qword ptr [r15 + CTX_EFLAGS]
    popfq
    mov ss, [r15 + CTX_SEG + 4]
    mov eax, [r15 + CTX_GPR]
    mov ecx, [r15 + CTX_GPR + 4]
    mov edx, [r15 + CTX_GPR + 8]
    mov ebx, [r15 + CTX_GPR + 12]
    mov esp, [r15 + CTX_GPR + 16]
    mov ebp, [r15 + CTX_GPR + 20]
    mov esi, [r15 + CTX_GPR + 24]
    mov edi, [r15 + CTX_GPR + 28]
    jmp fword ptr [r15 + CTX_TARGET]

/* The gate page jumps here with the case's registers. */
    .globl oracle_landing
oracle_landing:
    mov [r15 + CTX_GPR], eax
    mov [r15 + CTX_GPR + 4], ecx
    mov [r15 + CTX_GPR + 8], edx
    mov [r15 + CTX_GPR + 12], ebx
    mov [r15 + CTX_GPR + 16], esp
    mov [r15 + CTX_GPR + 20], ebp
    mov [r15 + CTX_GPR + 24], esi
    mov [r15 + CTX_GPR + 28], edi
    mov rsp, [r15 + CTX_HOST_RSP]
    pushfq
    pop qword ptr [r15 + CTX_EFLAGS]
    push 2                              /* DF and AC are not the C code's to see */
    popfq
    mov [r15 + CTX_SEG], es
    mov [r15 + CTX_SEG + 4], ss
    mov [r15 + CTX_SEG + 6], ds
    mov [r15 + CTX_SEG + 8], fs
    mov [r15 + CTX_SEG + 10], gs
    fxsave [r15 + CTX_FX]
    xor eax, eax
leave:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

/* Signal handler (edi signal, rsi siginfo, rdx ucontext): asks oracle_on_signal whether the case goes on. */
    .globl oracle_signal_entry
oracle_signal_entry:
    push 2                              /* the kernel leaves AC and NT as the case had them */
    popfq
    lea r15, oracle_context[rip]        /* sigreturn restores r15 from the frame */
    sub rsp, 8
    call oracle_on_signal
    add rsp, 8
    test eax, eax
    jnz 1f
    ret
1:  mov [r15 + CTX_SEG], es             /* not sooner: a tick may come while a case is being loaded from there */
    mov [r15 + CTX_SEG + 6], ds         /* CS and SS are in the frame */
    mov [r15 + CTX_SEG + 8], fs
    mov [r15 + CTX_SEG + 10], gs
    mov rsp, [r15 + CTX_HOST_RSP]
    mov eax, 1
    jmp leave

    .section .note.GNU-stack, "", @progbits
