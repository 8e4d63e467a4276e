; title: control registers and MSRs: legal values, reserved bits, CPUID, TSC, LMSW, SMSW, SGDT
; manual: SDM 3A 2.5, 4.1, 9.1; SDM 2, MOV CR, CPUID, LMSW, RDTSC; SDM 3C 35, P6 family
; expect: eax = 0x600d

%include "cpu.inc"
CD equ 0x40000000
NW equ 0x20000000
PG equ 0x80000000

start:  mov esi, cr0
        PROTECTED
        CHECK esi, CD + NW + 0x10       ; table 9-1
; CR0: ET is fixed, reserved bits read 0, NW needs CD
        mov eax, 0x1ffaffc1
        mov cr0, eax
        mov eax, cr0
        CHECK eax, 0x11
        mov eax, NW + 1
        FAULT 13, 0, {mov cr0, eax}
        mov eax, PG                     ; PG without PE
        FAULT 13, 0, {mov cr0, eax}
; TS, EM, MP by LMSW; PE cannot be cleared
        mov ax, 0xfffe
        lmsw ax
        mov eax, cr0
        CHECK eax, 0x1f
        smsw ax
        CHECK16 ax, 0x1f
        clts
        mov ax, 0
        lmsw ax
        smsw eax
        CHECK eax, 0x11
; CR4: only bits that CPUID announces
        mov eax, 0x800
        FAULT 13, 0, {mov cr4, eax}
        mov eax, 0x2000
        FAULT 13, 0, {mov cr4, eax}
        mov eax, 0x6bf & ~0x20
        mov cr4, eax
        mov ebx, cr4
        CHECK ebx, 0x6bf & ~0x20
        xor eax, eax
        mov cr4, eax
; CR1, CR5 and up do not exist
        FAULT 6, NOERR, {db 0x0f, 0x20, 0xc8}
        FAULT 6, NOERR, {db 0x0f, 0x22, 0xe8}
        FAULT 6, NOERR, {db 0x0f, 0x20, 0xf8}
; CR2 is plain; the mod field of MOV CR is not looked at
        mov eax, 0xcafe
        mov cr2, eax
        db 0x0f, 0x20, 0x13             ; mov ebx, cr2 with mod 0
        CHECK ebx, 0xcafe
; bad PDPTE under PAE: #GP(0), CR0 unchanged
        mov dword [SCRATCH], SCRATCH + 0x1000 + 1 + 2
        mov eax, SCRATCH
        mov cr3, eax
        mov eax, 0x20
        mov cr4, eax
        mov eax, PG + 0x11
        FAULT 13, 0, {mov cr0, eax}
        mov eax, cr0
        CHECK eax, 0x11
; ... and a good one pages: 2 MB at 0
        mov dword [SCRATCH], SCRATCH + 0x1000 + 1
        mov dword [SCRATCH + 0x1000], 0x83
        mov dword [SCRATCH + 0x1008], 0x200083
        mov byte [SCRATCH + 0x100c], 0  ; second 2 MB page
        mov eax, PG + 0x11
        mov cr0, eax
        mov dword [0x200000], 0x5a5a
        CHECK [0x200000], 0x5a5a
        FAULT 14, 0, {mov al, [0x400000]}
        mov eax, 0x11
        mov cr0, eax
        CHECK [0x200000], 0x5a5a
        xor eax, eax
        mov cr4, eax
; CPUID
        xor eax, eax
        cpuid
        CHECK ebx, 0x756e6547
        CHECK edx, 0x49656e69
        CHECK ecx, 0x6c65746e
        CHECK eax, 2
        mov eax, 1
        cpuid
        CHECK eax, 0x68a
        CHECK edx, 0x0383f9ff           ; a Pentium III's, without APIC
        mov eax, 2
        cpuid
        mov esi, eax
        mov eax, 0x80000000             ; above the last leaf: as the last
        cpuid
        CHECK eax, esi
; TSC goes on, can be set, and CR4.TSD guards it
        rdtsc
        mov esi, eax
        mov ecx, 100
.wait:  loop .wait
        rdtsc
        cmp eax, esi
        jbe bad
        mov ecx, 0x10
        mov eax, 0
        mov edx, 5
        wrmsr
        rdtsc
        CHECK edx, 0                    ; P6 clears the upper half
        mov eax, 4
        mov cr4, eax
        rdtsc
        FAULT_AT 13, 0, user_tsc, {RING3 user_tsc}
        xor eax, eax
        mov cr4, eax
        FAULT_AT 13, 0, user_pmc, {RING3 user_pmc}
; MSRs: unknown ones are #GP(0); reserved bits and types too
        mov ecx, 0x12345678
        FAULT 13, 0, rdmsr
        FAULT 13, 0, wrmsr
        mov ecx, 0xfe
        rdmsr
        CHECK eax, 0x508
        FAULT 13, 0, wrmsr
        mov ecx, 0x277
        rdmsr
        CHECK eax, 0x00070406
        mov eax, 0x02000000             ; type 2 does not exist
        FAULT 13, 0, wrmsr
        mov ecx, 0x200
        mov eax, 0x12345006
        mov edx, 0xf
        wrmsr
        rdmsr
        CHECK eax, 0x12345006
        CHECK edx, 0xf
        mov edx, 0x10                   ; beyond 36 address bits
        FAULT 13, 0, wrmsr
        mov ecx, 0x2ff
        mov eax, 0xc06
        xor edx, edx
        wrmsr
        mov eax, 0x1006
        FAULT 13, 0, wrmsr
        mov ecx, 0x1b
        rdmsr
        CHECK eax, 0xfee00100
; SGDT and SIDT give all 32 bits of the base
        o16 sgdt [SCRATCH]
        CHECK [SCRATCH + 2], gdt
        sidt [SCRATCH]
        CHECK16 [SCRATCH], 256 * 8 - 1
        CHECK [SCRATCH + 2], idt
; LGDT of 16 bits takes 24
        mov dword [SCRATCH + 2], 0xff000000 + gdt
        mov word [SCRATCH], gdt_end - gdt - 1
        o16 lgdt [SCRATCH]
        sgdt [SCRATCH]
        CHECK [SCRATCH + 2], gdt
; BOUND is a fault, INTO a trap
        mov eax, 5
        FAULT 5, NOERR, bound eax, [limits]
        mov eax, -2
        bound eax, [limits]
        PASS
bad:    FAIL

user_tsc: rdtsc
user_pmc: rdpmc

        bits 16
        align 4
limits: dd -2, 4
