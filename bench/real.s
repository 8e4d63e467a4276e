/* 16-bit real-mode code for bench/engine.py, of the kind that DOS programs and BIOSes are: at offset 0 of its segment. */
        .intel_syntax noprefix
        .code16
        .globl  run_real
run_real:
        mov     ebp, 600
round:  mov     ax, 0x3000
        mov     es, ax
        mov     ax, 0x0101      /* a sieve in another segment */
        xor     di, di
        mov     cx, 10000
        cld
        rep stosw
        mov     si, 2
outer:  mov     bx, si
        add     bx, si
inner:  cmp     bx, 20000
        jae     next
        mov     byte ptr es:[bx], 0
        add     bx, si
        jmp     inner
next:   inc     si
        cmp     si, 142
        jb      outer
        push    300             /* frames */
        call    sum
        pop     bx
        mov     cx, 2000        /* far pointers */
point:  push    ds
        push    cs
        pop     ds
        les     bx, pointer
        add     ax, es:[bx]
        pop     ds
        loop    point
        mov     cx, 3000        /* calls that save everything */
saved:  pusha
        call    leaf
        popa
        loop    saved
        mov     cx, 500
soft:   int     0x10
        loop    soft
        dec     ebp
        jnz     round
        hlt
leaf:   xlat
        ret
sum:    push    bp
        mov     bp, sp
        sub     sp, 2
        mov     cx, [bp + 4]
        mov     word ptr [bp - 2], 0
adds:   add     [bp - 2], cx
        dec     cx
        jnz     adds
        mov     cx, [bp + 4]
        dec     cx
        jz      sums
        push    cx
        call    sum
        pop     cx
sums:   mov     ax, [bp - 2]
        mov     sp, bp
        pop     bp
        ret
pointer: .word  0x100, 0x3000
