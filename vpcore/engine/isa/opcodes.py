"""The table of IA-32 instructions: data only.  table.py reads it, gen.py and the tests walk it.

One line is one encoding; lines with equal mnemonic and operands are one row (one handler) with several encodings.

    encoding  mnemonic  operands  access  flags  registers  traits...

encoding   `[P.][0F.]OP` (or 0F38. or 0F3A. for 0F.) and then `+r` (register in the low bits), `/n` (ModRM.reg), `.MM` (a whole
           ModRM byte) or `.MM+i` (its low bits are a register).  P is a mandatory prefix: NP (none of them), 66, F3 or F2;
           without P any will do.  `+k{set}` adds k times the index of the set's member, `/{set}` is its index.
mnemonic   `NAME`, or `NAME=a|b` where the text of the 16-bit and 32-bit form (`_` is a space) is not the name.
operands   the letters of SDM 2 appendix A.2, further: Zb Zv register in the opcode, Zs segment register in bits 3 to 5 of it, Ibs
           sign-extended byte, rAX eAX or AX, Ms pseudo-descriptor, ST STi x87 stack, Mwi Mdi Mqi integers in memory, XMM0 itself.
access     a letter for each operand: r read, w written, x both, - neither (only its address, or nothing).
flags      `read>written~undefined`, each a string of o s z a p c d i t; `?` for `>` where a zero count writes none.
registers  `read>written` implicit ones: a c d b S(P) B(P) s(I) D(I).
traits     end    closes a block: may change EIP, mode, interrupt state or the memory map
           lock   LOCK is allowed with a memory destination (where operand 0 is read and written)
           priv   #GP(0) unless CPL is 0
           io     accesses ports
           fp     uses the x87 stack, `mmx` the MMX registers, `sse` the XMM registers
           rep    REP repeats it; `repz` as well, but REPE and REPNE differ
           os     has 16-bit and 32-bit handlers though no operand shows it
           mem16  the memory operand is a word whatever the operand size
           h=ROW  is served by the handlers of that row
           else=ROW  a model without the feature reads this row instead

`feature F` sets the feature of the lines that follow: the first CPU generation, or CPUID bit, that has them.
`set NAME = members` names a set; a member is `[XX:]TEXT[/TEXT1[/TEXT2]]` with index XX (hexadecimal), else counted from 0;
{NAME} {NAME1} {NAME2} stand for its texts.

Sources: SDM 2 (order 253666) chapters 3-5 and appendix A; for undocumented encodings the silicon (tests/cpu/oracle).
"""

from typing import Final

TABLE: Final = """
set alu = ADD/x/>oszapc OR/x/>oszpc~a ADC/x/c>oszapc SBB/x/c>oszapc AND/x/>oszpc~a SUB/x/>oszapc XOR/x/>oszpc~a CMP/r/>oszapc
set cc  = O/o NO/o B/c AE/c E/z NE/z BE/cz A/cz S/s NS/s P/p NP/p L/so GE/so LE/soz G/soz
set sh  = ROL//oc ROR//oc RCL/c/oc RCR/c/oc SHL//oszpc~a SHR//oszpc~a SHL//oszpc~a SAR//oszpc~a
set bt  = 4:BT/r 5:BTS/x 6:BTR/x 7:BTC/x

feature I386
# -- one-byte map
00+8{alu}  {alu}   Eb,Gb     {alu1}r  {alu2}   -       lock
01+8{alu}  {alu}   Ev,Gv     {alu1}r  {alu2}   -       lock
02+8{alu}  {alu}   Gb,Eb     {alu1}r  {alu2}   -
03+8{alu}  {alu}   Gv,Ev     {alu1}r  {alu2}   -
04+8{alu}  {alu}   AL,Ib     {alu1}r  {alu2}   -
05+8{alu}  {alu}   rAX,Iz    {alu1}r  {alu2}   -
80/{alu}   {alu}   Eb,Ib     {alu1}r  {alu2}   -       lock
81/{alu}   {alu}   Ev,Iz     {alu1}r  {alu2}   -       lock
82/{alu}   {alu}   Eb,Ib     {alu1}r  {alu2}   -       lock
83/{alu}   {alu}   Ev,Ibs    {alu1}r  {alu2}   -       lock
06         PUSH    Zs        r        -        S>S     os
0E         PUSH    Zs        r        -        S>S     os
16         PUSH    Zs        r        -        S>S     os
1E         PUSH    Zs        r        -        S>S     os
07         POP     Zs        w        -        S>S     os
17         POP     SS        w        -        S>S     os end
1F         POP     Zs        w        -        S>S     os
27         DAA     -         -        ac>szapc~o a>a
2F         DAS     -         -        ac>szapc~o a>a
37         AAA     -         -        a>ac~oszp  a>a
3F         AAS     -         -        a>ac~oszp  a>a
40+r       INC     Zv        x        >oszap   -
48+r       DEC     Zv        x        >oszap   -
50+r       PUSH    Zv        r        -        S>S
58+r       POP     Zv        w        -        S>S
60         PUSHA=pusha|pushad - -     -        acdbSBsD>S  os
61         POPA=popa|popad -  -       -        S>acdbSBsD  os
62         BOUND   Gv,Ma     rr       -        -
63         ARPL    Ew,Gw     xr       >z       -
68         PUSH    Iz        r        -        S>S
69         IMUL    Gv,Ev,Iz  wrr      >oc~szap -
6A         PUSH    Ibs       r        -        S>S     os
6B         IMUL    Gv,Ev,Ibs wrr      >oc~szap -
6C         INS=insb Yb,DX    wr       d>       dD>D    io rep end
6D         INS=insw|insd Yv,DX wr     d>       dD>D    io rep end
6E         OUTS=outsb DX,Xb  rr       d>       ds>s    io rep end
6F         OUTS=outsw|outsd DX,Xv rr  d>       ds>s    io rep end
70+{cc}    J{cc}   Jb        r        {cc1}>   -       end
84         TEST    Eb,Gb     rr       >oszpc~a -
85         TEST    Ev,Gv     rr       >oszpc~a -
86         XCHG    Eb,Gb     xx       -        -       lock
87         XCHG    Ev,Gv     xx       -        -       lock
88         MOV     Eb,Gb     wr       -        -
89         MOV     Ev,Gv     wr       -        -
8A         MOV     Gb,Eb     wr       -        -
8B         MOV     Gv,Ev     wr       -        -
8C/0       MOV     Ev,Sw     wr       -        -       mem16
8C/1       MOV     Ev,Sw     wr       -        -       mem16
8C/2       MOV     Ev,Sw     wr       -        -       mem16
8C/3       MOV     Ev,Sw     wr       -        -       mem16
8C/4       MOV     Ev,Sw     wr       -        -       mem16
8C/5       MOV     Ev,Sw     wr       -        -       mem16
8D         LEA     Gv,M      w-       -        -
8E/0       MOV     Sw,Ew     wr       -        -
8E/2       MOV     SS,Ew     wr       -        -       end
8E/3       MOV     Sw,Ew     wr       -        -
8E/4       MOV     Sw,Ew     wr       -        -
8E/5       MOV     Sw,Ew     wr       -        -
8F/0       POP     Ev        w        -        S>S
90         NOP     -         -        -        -
F3.90      PAUSE   -         -        -        -       h=NOP
91         XCHG    Zv,rAX    xx       -        -
92         XCHG    Zv,rAX    xx       -        -
93         XCHG    Zv,rAX    xx       -        -
94         XCHG    Zv,rAX    xx       -        -
95         XCHG    Zv,rAX    xx       -        -
96         XCHG    Zv,rAX    xx       -        -
97         XCHG    Zv,rAX    xx       -        -
98         CBW=cbw|cwde -    -        -        a>a     os
99         CWD=cwd|cdq -     -        -        a>d     os
9A         CALLF=call_far Ap     -        -        S>S     end
9B         FWAIT=wait -      -        -        -       fp
9C         PUSHF=pushf|pushfd - -     oszapcdit> S>S   os
9D         POPF=popf|popfd - -        >oszapcdit S>S   os end
9E         SAHF    -         -        >szapc   a>
9F         LAHF    -         -        szapc>   >a
A0         MOV     AL,Ob     wr       -        -
A1         MOV     rAX,Ov    wr       -        -
A2         MOV     Ob,AL     wr       -        -
A3         MOV     Ov,rAX    wr       -        -
A4         MOVS=movsb Yb,Xb  wr       d>       sD>sD   rep
A5         MOVS=movsw|movsd Yv,Xv wr  d>       sD>sD   rep
A6         CMPS=cmpsb Xb,Yb  rr       d>oszapc sD>sD   repz
A7         CMPS=cmpsw|cmpsd Xv,Yv rr  d>oszapc sD>sD   repz
A8         TEST    AL,Ib     rr       >oszpc~a -
A9         TEST    rAX,Iz    rr       >oszpc~a -
AA         STOS=stosb Yb,AL  wr       d>       D>D     rep
AB         STOS=stosw|stosd Yv,rAX wr d>       D>D     rep
AC         LODS=lodsb AL,Xb  wr       d>       s>s     rep
AD         LODS=lodsw|lodsd rAX,Xv wr d>       s>s     rep
AE         SCAS=scasb AL,Yb  rr       d>oszapc D>D     repz
AF         SCAS=scasw|scasd rAX,Yv rr d>oszapc D>D     repz
B0+r       MOV     Zb,Ib     wr       -        -
B8+r       MOV     Zv,Iz     wr       -        -
C0/{sh}    {sh}    Eb,Ib     xr       {sh1}?{sh2} -
C1/{sh}    {sh}    Ev,Ib     xr       {sh1}?{sh2} -
D0/{sh}    {sh}    Eb,1      xr       {sh1}>{sh2} -
D1/{sh}    {sh}    Ev,1      xr       {sh1}>{sh2} -
D2/{sh}    {sh}    Eb,CL     xr       {sh1}?{sh2} -
D3/{sh}    {sh}    Ev,CL     xr       {sh1}?{sh2} -
C2         RET     Iw        r        -        S>S     os end
C3         RET     -         -        -        S>S     os end
C4         LES     Gv,Mp     wr       -        -
C5         LDS     Gv,Mp     wr       -        -
C6/0       MOV     Eb,Ib     wr       -        -
C7/0       MOV     Ev,Iz     wr       -        -
C8         ENTER   Iw,Ib     rr       -        SB>SB   os
C9         LEAVE   -         -        -        SB>SB   os
CA         RETF    Iw        r        -        S>S     os end
CB         RETF    -         -        -        S>S     os end
CC         INT3    -         -        oszapcdit>it S>S end
CD         INT     Ib        r        oszapcdit>it S>S end
CE         INTO    -         -        oszapcdit>it S>S end
CF         IRET=iret|iretd - -        >oszapcdit S>S   os end
D4         AAM     Ib        r        >szp~oac a>a
D5         AAD     Ib        r        >szp~oac a>a
D6         SALC    -         -        c>       >a
D7         XLAT=xlatb -      -        -        ab>a
E0         LOOPNE  Jb        r        z>       c>c     end
E1         LOOPE   Jb        r        z>       c>c     end
E2         LOOP    Jb        r        -        c>c     end
E3         JCXZ=jcxz|jecxz Jb        r        -        c>      end
E4         IN      AL,Ib     wr       -        -       io end
E5         IN      rAX,Ib    wr       -        -       io end
E6         OUT     Ib,AL     rr       -        -       io end
E7         OUT     Ib,rAX    rr       -        -       io end
E8         CALL    Jz        r        -        S>S     end
E9         JMP     Jz        r        -        -       end
EA         JMPF=jmp_far Ap       -        -        -       end
EB         JMP     Jb        r        -        -       end
EC         IN      AL,DX     wr       -        -       io end
ED         IN      rAX,DX    wr       -        -       io end
EE         OUT     DX,AL     rr       -        -       io end
EF         OUT     DX,rAX    rr       -        -       io end
F1         INT1    -         -        oszapcdit>it S>S end
F4         HLT     -         -        -        -       priv end
F5         CMC     -         -        c>c      -
F6/0       TEST    Eb,Ib     rr       >oszpc~a -
F6/1       TEST    Eb,Ib     rr       >oszpc~a -
F6/2       NOT     Eb        x        -        -       lock
F6/3       NEG     Eb        x        >oszapc  -       lock
F6/4       MUL     Eb        r        >oc~szap a>a
F6/5       IMUL    Eb        r        >oc~szap a>a
F6/6       DIV     Eb        r        >~oszapc a>a
F6/7       IDIV    Eb        r        >~oszapc a>a
F7/0       TEST    Ev,Iz     rr       >oszpc~a -
F7/1       TEST    Ev,Iz     rr       >oszpc~a -
F7/2       NOT     Ev        x        -        -       lock
F7/3       NEG     Ev        x        >oszapc  -       lock
F7/4       MUL     Ev        r        >oc~szap a>ad
F7/5       IMUL    Ev        r        >oc~szap a>ad
F7/6       DIV     Ev        r        >~oszapc ad>ad
F7/7       IDIV    Ev        r        >~oszapc ad>ad
F8         CLC     -         -        >c       -
F9         STC     -         -        >c       -
FA         CLI     -         -        >i       -
FB         STI     -         -        >i       -       end
FC         CLD     -         -        >d       -
FD         STD     -         -        >d       -
FE/0       INC     Eb        x        >oszap   -       lock
FE/1       DEC     Eb        x        >oszap   -       lock
FF/0       INC     Ev        x        >oszap   -       lock
FF/1       DEC     Ev        x        >oszap   -       lock
FF/2       CALL    Ev        r        -        S>S     end
FF/3       CALLF=call_far Mp     r        -        S>S     end
FF/4       JMP     Ev        r        -        -       end
FF/5       JMPF=jmp_far Mp       r        -        -       end
FF/6       PUSH    Ev        r        -        S>S

# -- 0F map
0F.00/0    SLDT    Ev        w        -        -       mem16
0F.00/1    STR     Ev        w        -        -       mem16
0F.00/2    LLDT    Ew        r        -        -       priv
0F.00/3    LTR     Ew        r        -        -       priv
0F.00/4    VERR    Ew        r        >z       -
0F.00/5    VERW    Ew        r        >z       -
0F.01/0    SGDT    Ms        w        -        -       os
0F.01/1    SIDT    Ms        w        -        -       os
0F.01/2    LGDT    Ms        r        -        -       os priv end
0F.01/3    LIDT    Ms        r        -        -       os priv end
0F.01/4    SMSW    Ev        w        -        -       mem16
0F.01/6    LMSW    Ew        r        -        -       priv end
0F.02      LAR     Gv,Ew     xr       >z       -
0F.03      LSL     Gv,Ew     xr       >z       -
0F.06      CLTS    -         -        -        -       priv end
0F.0B      UD2     -         -        -        -       end
0F.B9      UD1     Gv,Ev     --       -        -       end h=UD2
0F.FF      UD0     Gv,Ev     --       -        -       end h=UD2
0F.20/0    MOV     Rd,Cd     wr       >~oszapc -       priv
0F.20/2    MOV     Rd,Cd     wr       >~oszapc -       priv
0F.20/3    MOV     Rd,Cd     wr       >~oszapc -       priv
0F.20/4    MOV     Rd,Cd     wr       >~oszapc -       priv
0F.21      MOV     Rd,Dd     wr       >~oszapc -       priv
0F.22/0    MOV     Cd,Rd     wr       >~oszapc -       priv end
0F.22/2    MOV     Cd,Rd     wr       >~oszapc -       priv end
0F.22/3    MOV     Cd,Rd     wr       >~oszapc -       priv end
0F.22/4    MOV     Cd,Rd     wr       >~oszapc -       priv end
0F.23      MOV     Dd,Rd     wr       >~oszapc -       priv end
0F.80+{cc} J{cc}   Jz        r        {cc1}>   -       end
0F.90+{cc} SET{cc} Eb        w        {cc1}>   -
0F.A0      PUSH    Zs        r        -        S>S     os
0F.A1      POP     Zs        w        -        S>S     os
0F.A8      PUSH    Zs        r        -        S>S     os
0F.A9      POP     Zs        w        -        S>S     os
0F.83+8{bt} {bt}   Ev,Gv     {bt1}r   >c~osap  -       lock
0F.BA/{bt} {bt}    Ev,Ib     {bt1}r   >c~osap  -       lock
0F.A4      SHLD    Ev,Gv,Ib  xrr      ?oszpc~a -
0F.A5      SHLD    Ev,Gv,CL  xrr      ?oszpc~a -
0F.AC      SHRD    Ev,Gv,Ib  xrr      ?oszpc~a -
0F.AD      SHRD    Ev,Gv,CL  xrr      ?oszpc~a -
0F.AF      IMUL    Gv,Ev     xr       >oc~szap -
0F.B2      LSS     Gv,Mp     wr       -        -       end
0F.B4      LFS     Gv,Mp     wr       -        -
0F.B5      LGS     Gv,Mp     wr       -        -
0F.B6      MOVZX   Gv,Eb     wr       -        -
0F.B7      MOVZX   Gv,Ew     wr       -        -
0F.BE      MOVSX   Gv,Eb     wr       -        -
0F.BF      MOVSX   Gv,Ew     wr       -        -
0F.BC      BSF     Gv,Ev     xr       >z~osapc -
0F.BD      BSR     Gv,Ev     xr       >z~osapc -

feature I486
0F.01/7    INVLPG  Mb        -        -        -       priv end
0F.08      INVD    -         -        -        -       priv end
0F.09      WBINVD  -         -        -        -       priv end
0F.B0      CMPXCHG Eb,Gb     xr       >oszapc  a>a     lock
0F.B1      CMPXCHG Ev,Gv     xr       >oszapc  a>a     lock
0F.C0      XADD    Eb,Gb     xx       >oszapc  -       lock
0F.C1      XADD    Ev,Gv     xx       >oszapc  -       lock
0F.C8+r    BSWAP   Zv        x        -        -

feature P5
0F.30      WRMSR   -         -        -        acd>    priv end
0F.31      RDTSC   -         -        -        >ad
0F.32      RDMSR   -         -        -        c>ad    priv
0F.A2      CPUID   -         -        -        ac>acdb
0F.AA      RSM     -         -        >oszapcdit -     end h=UD2
0F.C7/1    CMPXCHG8B Mq      x        >z       acdb>ad lock

feature P6
set nop = 19:NOP 1A:NOP 1B:NOP 1C:NOP 1D:NOP 1E:NOP 1F:NOP
0F.0D      NOP     Ev        -        -        -       h=NOP
0F.18      NOP     Ev        -        -        -       h=NOP
0F.00+{nop} {nop}  Ev        -        -        -       h=NOP
# SSE gave the P6's reserved NOPs their meaning (SDM 2, "PREFETCHh")
set prefetch = PREFETCHNTA PREFETCHT0 PREFETCHT1 PREFETCHT2
0F.18/{prefetch} {prefetch} Mb -      -        -       h=NOP
0F.33      RDPMC   -         -        -        c>ad
0F.40+{cc} CMOV{cc} Gv,Ev    xr       {cc1}>   -
feature SEP
0F.34      SYSENTER -        -        -        >S      end
0F.35      SYSEXIT -         -        -        cd>S    priv end

# -- x87 (SDM 2 appendix A.5)
feature I386
set fa = FADD FMUL FCOM FCOMP FSUB FSUBR FDIV FDIVR
set fr = 0:FADD/x 1:FMUL/x 4:FSUBR/x 5:FSUB/x 6:FDIVR/x 7:FDIV/x
D8/{fa}    {fa}    Md        r        -        -       fp
DC/{fa}    {fa}    Mq        r        -        -       fp
D8.C0+8{fa}+i {fa} ST,STi    xr       -        -       fp
DC.C0+8{fr}+i {fr} STi,ST    xr       -        -       fp
DE.C0+8{fr}+i {fr}P STi,ST   xr       -        -       fp
DC.D0+i    FCOM    ST,STi    xr       -        -       fp
DC.D8+i    FCOMP   ST,STi    xr       -        -       fp
DE.D0+i    FCOMP   ST,STi    xr       -        -       fp
DE.D9      FCOMPP  -         -        -        -       fp
set fi = FIADD FIMUL FICOM FICOMP FISUB FISUBR FIDIV FIDIVR
DA/{fi}    {fi}    Mdi       r        -        -       fp
DE/{fi}    {fi}    Mwi       r        -        -       fp
D9/0       FLD     Md        r        -        -       fp
D9/2       FST     Md        w        -        -       fp
D9/3       FSTP    Md        w        -        -       fp
D9/4       FLDENV  M         r        -        -       fp os
D9/5       FLDCW   Mw        r        -        -       fp
D9/6       FNSTENV M         w        -        -       fp os
D9/7       FNSTCW  Mw        w        -        -       fp
D9.C0+i    FLD     STi       r        -        -       fp
D9.C8+i    FXCH    ST,STi    xx       -        -       fp
DD.C8+i    FXCH    ST,STi    xx       -        -       fp
DF.C8+i    FXCH    ST,STi    xx       -        -       fp
D9.D0      FNOP    -         -        -        -       fp
D9.D8+i    FSTPNCE STi       w        -        -       fp
DF.D0+i    FSTP    STi       w        -        -       fp
DF.D8+i    FSTP    STi       w        -        -       fp
set f9 = E0:FCHS E1:FABS E4:FTST E5:FXAM E8:FLD1 E9:FLDL2T EA:FLDL2E EB:FLDPI EC:FLDLG2 ED:FLDLN2 EE:FLDZ
D9.00+{f9} {f9}    -         -        -        -       fp
set ft = F0:F2XM1 F1:FYL2X F2:FPTAN F3:FPATAN F4:FXTRACT F5:FPREM1 F6:FDECSTP F7:FINCSTP F8:FPREM F9:FYL2XP1 FA:FSQRT
D9.00+{ft} {ft}    -         -        -        -       fp
set fs = FB:FSINCOS FC:FRNDINT FD:FSCALE FE:FSIN FF:FCOS
D9.00+{fs} {fs}    -         -        -        -       fp
DA.E9      FUCOMPP -         -        -        -       fp
DB/0       FILD    Mdi       r        -        -       fp
DB/2       FIST    Mdi       w        -        -       fp
DB/3       FISTP   Mdi       w        -        -       fp
DB/5       FLD     Mt        r        -        -       fp
DB/7       FSTP    Mt        w        -        -       fp
DB.E0      FNENI   -         -        -        -       fp
DB.E1      FNDISI  -         -        -        -       fp h=FNENI
DB.E4      FNSETPM -         -        -        -       fp h=FNENI
DB.E2      FNCLEX  -         -        -        -       fp
DB.E3      FNINIT  -         -        -        -       fp
DD/0       FLD     Mq        r        -        -       fp
DD/2       FST     Mq        w        -        -       fp
DD/3       FSTP    Mq        w        -        -       fp
DD/4       FRSTOR  M         r        -        -       fp os
DD/6       FNSAVE  M         w        -        -       fp os
DD/7       FNSTSW  Mw        w        -        -       fp
DD.C0+i    FFREE   STi       -        -        -       fp
DF.C0+i    FFREEP  STi       -        -        -       fp
DD.D0+i    FST     STi       w        -        -       fp
DD.D8+i    FSTP    STi       w        -        -       fp
DD.E0+i    FUCOM   ST,STi    rr       -        -       fp
DD.E8+i    FUCOMP  ST,STi    rr       -        -       fp
DF/0       FILD    Mwi       r        -        -       fp
DF/2       FIST    Mwi       w        -        -       fp
DF/3       FISTP   Mwi       w        -        -       fp
DF/4       FBLD    Mt        r        -        -       fp
DF/5       FILD    Mqi       r        -        -       fp
DF/6       FBSTP   Mt        w        -        -       fp
DF/7       FISTP   Mqi       w        -        -       fp
DF.E0      FNSTSW  AX        w        -        -       fp
feature SSE3
DB/1       FISTTP  Mdi       w        -        -       fp
DD/1       FISTTP  Mqi       w        -        -       fp
DF/1       FISTTP  Mwi       w        -        -       fp
feature P6
set fcmov = B/c E/z BE/cz U/p
DA.C0+8{fcmov}+i FCMOV{fcmov}  ST,STi xr {fcmov1}> -   fp
DB.C0+8{fcmov}+i FCMOVN{fcmov} ST,STi xr {fcmov1}> -   fp
DB.E8+i    FUCOMI  ST,STi    rr       >oszapc  -       fp
DB.F0+i    FCOMI   ST,STi    rr       >oszapc  -       fp
DF.E8+i    FUCOMIP ST,STi    rr       >oszapc  -       fp
DF.F0+i    FCOMIP  ST,STi    rr       >oszapc  -       fp

# -- MMX, and the same operations on XMM registers (SSE2)
feature MMX
set punpckl = 60:PUNPCKLBW 61:PUNPCKLWD 62:PUNPCKLDQ
set pi1 = 63:PACKSSWB 64:PCMPGTB 65:PCMPGTW 66:PCMPGTD 67:PACKUSWB 68:PUNPCKHBW 69:PUNPCKHWD 6A:PUNPCKHDQ 6B:PACKSSDW
set pi2 = 74:PCMPEQB 75:PCMPEQW 76:PCMPEQD D1:PSRLW D2:PSRLD D3:PSRLQ D5:PMULLW D8:PSUBUSB D9:PSUBUSW DB:PAND DC:PADDUSB
set pi3 = DD:PADDUSW DF:PANDN E1:PSRAW E2:PSRAD E5:PMULHW E8:PSUBSB E9:PSUBSW EB:POR EC:PADDSB ED:PADDSW EF:PXOR F1:PSLLW
set pi4 = F2:PSLLD F3:PSLLQ F5:PMADDWD F8:PSUBB F9:PSUBW FA:PSUBD FC:PADDB FD:PADDW FE:PADDD
NP.0F.00+{punpckl} {punpckl} Pq,Qd  xr  -  -  mmx
NP.0F.00+{pi1} {pi1} Pq,Qq   xr       -        -       mmx
NP.0F.00+{pi2} {pi2} Pq,Qq   xr       -        -       mmx
NP.0F.00+{pi3} {pi3} Pq,Qq   xr       -        -       mmx
NP.0F.00+{pi4} {pi4} Pq,Qq   xr       -        -       mmx
set pshw = 2:PSRLW 4:PSRAW 6:PSLLW
set pshd = 2:PSRLD 4:PSRAD 6:PSLLD
set pshq = 2:PSRLQ 6:PSLLQ
NP.0F.71/{pshw} {pshw} Nq,Ib xr       -        -       mmx
NP.0F.72/{pshd} {pshd} Nq,Ib xr       -        -       mmx
NP.0F.73/{pshq} {pshq} Nq,Ib xr       -        -       mmx
NP.0F.6E   MOVD    Pd,Ed     wr       -        -       mmx
NP.0F.7E   MOVD    Ed,Pd     wr       -        -       mmx
NP.0F.6F   MOVQ    Pq,Qq     wr       -        -       mmx
NP.0F.7F   MOVQ    Qq,Pq     wr       -        -       mmx
NP.0F.77   EMMS    -         -        -        -       mmx
feature SSE
set pe = DA:PMINUB DE:PMAXUB E0:PAVGB E3:PAVGW E4:PMULHUW EA:PMINSW EE:PMAXSW F6:PSADBW
NP.0F.00+{pe} {pe} Pq,Qq     xr       -        -       mmx
NP.0F.70   PSHUFW  Pq,Qq,Ib  wrr      -        -       mmx
NP.0F.C4   PINSRW  Pq,Ew,Ib  xrr      -        -       mmx
NP.0F.C5   PEXTRW  Gd,Nq,Ib  wrr      -        -       mmx
NP.0F.D7   PMOVMSKB Gd,Nq    wr       -        -       mmx
NP.0F.E7   MOVNTQ  Mq,Pq     wr       -        -       mmx
NP.0F.F7   MASKMOVQ Pq,Nq    rr       -        D>      mmx
feature SSE2
set p2 = D4:PADDQ F4:PMULUDQ FB:PSUBQ
NP.0F.00+{p2} {p2} Pq,Qq     xr       -        -       mmx
66.0F.00+{punpckl} {punpckl} Vdq,Wdq xr - -            sse
66.0F.00+{pi1} {pi1} Vdq,Wdq xr       -        -       sse
66.0F.00+{pi2} {pi2} Vdq,Wdq xr       -        -       sse
66.0F.00+{pi3} {pi3} Vdq,Wdq xr       -        -       sse
66.0F.00+{pi4} {pi4} Vdq,Wdq xr       -        -       sse
66.0F.00+{pe}  {pe}  Vdq,Wdq xr       -        -       sse
66.0F.00+{p2}  {p2}  Vdq,Wdq xr       -        -       sse
66.0F.6C   PUNPCKLQDQ Vdq,Wdq xr      -        -       sse
66.0F.6D   PUNPCKHQDQ Vdq,Wdq xr      -        -       sse
66.0F.71/{pshw} {pshw} Udq,Ib xr      -        -       sse
66.0F.72/{pshd} {pshd} Udq,Ib xr      -        -       sse
66.0F.73/{pshq} {pshq} Udq,Ib xr      -        -       sse
66.0F.73/3 PSRLDQ  Udq,Ib    xr       -        -       sse
66.0F.73/7 PSLLDQ  Udq,Ib    xr       -        -       sse
66.0F.6E   MOVD    Vdq,Ed    wr       -        -       sse
66.0F.7E   MOVD    Ed,Vdq    wr       -        -       sse
F3.0F.7E   MOVQ    Vdq,Wq    wr       -        -       sse
66.0F.D6   MOVQ    Wq,Vdq    wr       -        -       sse
66.0F.6F   MOVDQA  Vdq,Wdq   wr       -        -       sse
66.0F.7F   MOVDQA  Wdq,Vdq   wr       -        -       sse
F3.0F.6F   MOVDQU  Vdq,Wdq   wr       -        -       sse
F3.0F.7F   MOVDQU  Wdq,Vdq   wr       -        -       sse
F3.0F.D6   MOVQ2DQ Vdq,Nq    wr       -        -       sse mmx
F2.0F.D6   MOVDQ2Q Pq,Udq    wr       -        -       sse mmx
66.0F.70   PSHUFD  Vdq,Wdq,Ib wrr     -        -       sse
F3.0F.70   PSHUFHW Vdq,Wdq,Ib wrr     -        -       sse
F2.0F.70   PSHUFLW Vdq,Wdq,Ib wrr     -        -       sse
66.0F.C4   PINSRW  Vdq,Ew,Ib xrr      -        -       sse
66.0F.C5   PEXTRW  Gd,Udq,Ib wrr      -        -       sse
66.0F.D7   PMOVMSKB Gd,Udq   wr       -        -       sse
66.0F.E7   MOVNTDQ Mdq,Vdq   wr       -        -       sse
66.0F.F7   MASKMOVDQU Vdq,Udq rr      -        D>      sse
NP.0F.C3   MOVNTI  Md,Gd     wr       -        -
NP.0F.AE/7    CLFLUSH Mb        -        -        -
NP.0F.AE.E8+i LFENCE  -         -        -        -
NP.0F.AE.F0+i MFENCE  -         -        -        -

# -- SSE and SSE2 floating point
feature SSE
NP.0F.AE.F8+i SFENCE  -         -        -        -
NP.0F.AE/2    LDMXCSR Md        r        -        -       sse
NP.0F.AE/3    STMXCSR Md        w        -        -       sse
set fp = 58:ADD 59:MUL 5C:SUB 5D:MIN 5E:DIV 5F:MAX
set fl = 54:AND 55:ANDN 56:OR 57:XOR 14:UNPCKL 15:UNPCKH
NP.0F.00+{fp} {fp}PS Vps,Wps xr       -        -       sse
F3.0F.00+{fp} {fp}SS Vss,Wss xr       -        -       sse
NP.0F.00+{fl} {fl}PS Vps,Wps xr       -        -       sse
NP.0F.51   SQRTPS  Vps,Wps   wr       -        -       sse
F3.0F.51   SQRTSS  Vss,Wss   wr       -        -       sse
NP.0F.52   RSQRTPS Vps,Wps   wr       -        -       sse
F3.0F.52   RSQRTSS Vss,Wss   wr       -        -       sse
NP.0F.53   RCPPS   Vps,Wps   wr       -        -       sse
F3.0F.53   RCPSS   Vss,Wss   wr       -        -       sse
NP.0F.10   MOVUPS  Vps,Wps   wr       -        -       sse
NP.0F.11   MOVUPS  Wps,Vps   wr       -        -       sse
F3.0F.10   MOVSS   Vss,Wss   wr       -        -       sse
F3.0F.11   MOVSS   Wss,Vss   wr       -        -       sse
NP.0F.12   MOVLPS  Vq,Mq     wr       -        -       sse
NP.0F.12   MOVHLPS Vq,Uq     wr       -        -       sse
NP.0F.13   MOVLPS  Mq,Vq     wr       -        -       sse
NP.0F.16   MOVHPS  Vq,Mq     wr       -        -       sse
NP.0F.16   MOVLHPS Vq,Uq     wr       -        -       sse
NP.0F.17   MOVHPS  Mq,Vq     wr       -        -       sse
NP.0F.28   MOVAPS  Vps,Wps   wr       -        -       sse
NP.0F.29   MOVAPS  Wps,Vps   wr       -        -       sse
NP.0F.2A   CVTPI2PS Vps,Qq   wr       -        -       sse mmx
F3.0F.2A   CVTSI2SS Vss,Ed   wr       -        -       sse
NP.0F.2B   MOVNTPS Mps,Vps   wr       -        -       sse
NP.0F.2C   CVTTPS2PI Pq,Wq   wr       -        -       sse mmx
F3.0F.2C   CVTTSS2SI Gd,Wss  wr       -        -       sse
NP.0F.2D   CVTPS2PI Pq,Wq    wr       -        -       sse mmx
F3.0F.2D   CVTSS2SI Gd,Wss   wr       -        -       sse
NP.0F.2E   UCOMISS Vss,Wss   rr       >oszapc  -       sse
NP.0F.2F   COMISS  Vss,Wss   rr       >oszapc  -       sse
NP.0F.50   MOVMSKPS Gd,Ups   wr       -        -       sse
NP.0F.C2   CMPPS   Vps,Wps,Ib xrr     -        -       sse
F3.0F.C2   CMPSS   Vss,Wss,Ib xrr     -        -       sse
NP.0F.C6   SHUFPS  Vps,Wps,Ib xrr     -        -       sse
feature SSE2
66.0F.00+{fp} {fp}PD Vpd,Wpd xr       -        -       sse
F2.0F.00+{fp} {fp}SD Vsd,Wsd xr       -        -       sse
66.0F.00+{fl} {fl}PD Vpd,Wpd xr       -        -       sse
66.0F.51   SQRTPD  Vpd,Wpd   wr       -        -       sse
F2.0F.51   SQRTSD  Vsd,Wsd   wr       -        -       sse
66.0F.10   MOVUPD  Vpd,Wpd   wr       -        -       sse
66.0F.11   MOVUPD  Wpd,Vpd   wr       -        -       sse
F2.0F.10   MOVSD   Vsd,Wsd   wr       -        -       sse
F2.0F.11   MOVSD   Wsd,Vsd   wr       -        -       sse
66.0F.12   MOVLPD  Vq,Mq     wr       -        -       sse
66.0F.13   MOVLPD  Mq,Vq     wr       -        -       sse
66.0F.16   MOVHPD  Vq,Mq     wr       -        -       sse
66.0F.17   MOVHPD  Mq,Vq     wr       -        -       sse
66.0F.28   MOVAPD  Vpd,Wpd   wr       -        -       sse
66.0F.29   MOVAPD  Wpd,Vpd   wr       -        -       sse
66.0F.2A   CVTPI2PD Vpd,Qq   wr       -        -       sse mmx
F2.0F.2A   CVTSI2SD Vsd,Ed   wr       -        -       sse
66.0F.2B   MOVNTPD Mpd,Vpd   wr       -        -       sse
66.0F.2C   CVTTPD2PI Pq,Wpd  wr       -        -       sse mmx
F2.0F.2C   CVTTSD2SI Gd,Wsd  wr       -        -       sse
66.0F.2D   CVTPD2PI Pq,Wpd   wr       -        -       sse mmx
F2.0F.2D   CVTSD2SI Gd,Wsd   wr       -        -       sse
66.0F.2E   UCOMISD Vsd,Wsd   rr       >oszapc  -       sse
66.0F.2F   COMISD  Vsd,Wsd   rr       >oszapc  -       sse
66.0F.50   MOVMSKPD Gd,Upd   wr       -        -       sse
NP.0F.5A   CVTPS2PD Vpd,Wq   wr       -        -       sse
66.0F.5A   CVTPD2PS Vps,Wpd  wr       -        -       sse
F3.0F.5A   CVTSS2SD Vsd,Wss  wr       -        -       sse
F2.0F.5A   CVTSD2SS Vss,Wsd  wr       -        -       sse
NP.0F.5B   CVTDQ2PS Vps,Wdq  wr       -        -       sse
66.0F.5B   CVTPS2DQ Vdq,Wps  wr       -        -       sse
F3.0F.5B   CVTTPS2DQ Vdq,Wps wr       -        -       sse
66.0F.C2   CMPPD   Vpd,Wpd,Ib xrr     -        -       sse
F2.0F.C2   CMPSD   Vsd,Wsd,Ib xrr     -        -       sse
66.0F.C6   SHUFPD  Vpd,Wpd,Ib xrr     -        -       sse
66.0F.E6   CVTTPD2DQ Vdq,Wpd wr       -        -       sse
F3.0F.E6   CVTDQ2PD Vpd,Wq   wr       -        -       sse
F2.0F.E6   CVTPD2DQ Vdq,Wpd  wr       -        -       sse
feature FXSR
NP.0F.AE/0    FXSAVE  M         w        -        -       fp
NP.0F.AE/1    FXRSTOR M         r        -        -       fp

# -- SSE3 to SSE4.2, AES, PCLMULQDQ, SHA
feature SSE3
66.0F.7C   HADDPD  Vpd,Wpd   xr       -        -       sse
F2.0F.7C   HADDPS  Vps,Wps   xr       -        -       sse
66.0F.7D   HSUBPD  Vpd,Wpd   xr       -        -       sse
F2.0F.7D   HSUBPS  Vps,Wps   xr       -        -       sse
66.0F.D0   ADDSUBPD Vpd,Wpd  xr       -        -       sse
F2.0F.D0   ADDSUBPS Vps,Wps  xr       -        -       sse
F2.0F.F0   LDDQU   Vdq,Mdq   wr       -        -       sse
F2.0F.12   MOVDDUP Vpd,Wq    wr       -        -       sse
F3.0F.12   MOVSLDUP Vps,Wps  wr       -        -       sse
F3.0F.16   MOVSHDUP Vps,Wps  wr       -        -       sse
feature SSSE3
set p3 = PSHUFB PHADDW PHADDD PHADDSW PMADDUBSW PHSUBW PHSUBD PHSUBSW PSIGNB PSIGNW PSIGND PMULHRSW
set pabs = 1C:PABSB 1D:PABSW 1E:PABSD
NP.0F38.00+{p3} {p3} Pq,Qq   xr       -        -       mmx
66.0F38.00+{p3} {p3} Vdq,Wdq xr       -        -       sse
NP.0F38.00+{pabs} {pabs} Pq,Qq wr     -        -       mmx
66.0F38.00+{pabs} {pabs} Vdq,Wdq wr   -        -       sse
NP.0F3A.0F PALIGNR Pq,Qq,Ib  xrr      -        -       mmx
66.0F3A.0F PALIGNR Vdq,Wdq,Ib xrr     -        -       sse
feature SSE41
set pmovx = 20:BW/q 21:BD/d 22:BQ/w 23:WD/q 24:WQ/d 25:DQ/q
set p41 = 28:PMULDQ 29:PCMPEQQ 2B:PACKUSDW 38:PMINSB 39:PMINSD 3A:PMINUW 3B:PMINUD 3C:PMAXSB 3D:PMAXSD 3E:PMAXUW 3F:PMAXUD 40:PMULLD
66.0F38.10 PBLENDVB Vdq,Wdq,XMM0 xrr  -        -       sse
66.0F38.14 BLENDVPS Vps,Wps,XMM0 xrr  -        -       sse
66.0F38.15 BLENDVPD Vpd,Wpd,XMM0 xrr  -        -       sse
66.0F38.17 PTEST   Vdq,Wdq   rr       >oszapc  -       sse
66.0F38.00+{pmovx} PMOVSX{pmovx} Vdq,W{pmovx1} wr - -  sse
66.0F38.10+{pmovx} PMOVZX{pmovx} Vdq,W{pmovx1} wr - -  sse
66.0F38.00+{p41} {p41} Vdq,Wdq xr     -        -       sse
66.0F38.2A MOVNTDQA Vdq,Mdq  wr       -        -       sse
66.0F38.41 PHMINPOSUW Vdq,Wdq wr      -        -       sse
66.0F3A.08 ROUNDPS Vps,Wps,Ib wrr     -        -       sse
66.0F3A.09 ROUNDPD Vpd,Wpd,Ib wrr     -        -       sse
66.0F3A.0A ROUNDSS Vss,Wss,Ib wrr     -        -       sse
66.0F3A.0B ROUNDSD Vsd,Wsd,Ib wrr     -        -       sse
66.0F3A.0C BLENDPS Vps,Wps,Ib xrr     -        -       sse
66.0F3A.0D BLENDPD Vpd,Wpd,Ib xrr     -        -       sse
66.0F3A.0E PBLENDW Vdq,Wdq,Ib xrr     -        -       sse
66.0F3A.14 PEXTRB  Mb,Vdq,Ib wrr      -        -       sse
66.0F3A.14 PEXTRB  Rd,Vdq,Ib wrr      -        -       sse
66.0F3A.15 PEXTRW  Mw,Vdq,Ib wrr      -        -       sse
66.0F3A.15 PEXTRW  Rd,Vdq,Ib wrr      -        -       sse
66.0F3A.16 PEXTRD  Ed,Vdq,Ib wrr      -        -       sse
66.0F3A.17 EXTRACTPS Ed,Vps,Ib wrr    -        -       sse
66.0F3A.20 PINSRB  Vdq,Mb,Ib xrr      -        -       sse
66.0F3A.20 PINSRB  Vdq,Rd,Ib xrr      -        -       sse
66.0F3A.21 INSERTPS Vps,Wss,Ib xrr    -        -       sse
66.0F3A.22 PINSRD  Vdq,Ed,Ib xrr      -        -       sse
66.0F3A.40 DPPS    Vps,Wps,Ib xrr     -        -       sse
66.0F3A.41 DPPD    Vpd,Wpd,Ib xrr     -        -       sse
66.0F3A.42 MPSADBW Vdq,Wdq,Ib xrr     -        -       sse
feature SSE42
66.0F38.37 PCMPGTQ Vdq,Wdq   xr       -        -       sse
66.0F3A.60 PCMPESTRM Vdq,Wdq,Ib rrr   >oszapc  ad>     sse
66.0F3A.61 PCMPESTRI Vdq,Wdq,Ib rrr   >oszapc  ad>c    sse
66.0F3A.62 PCMPISTRM Vdq,Wdq,Ib rrr   >oszapc  -       sse
66.0F3A.63 PCMPISTRI Vdq,Wdq,Ib rrr   >oszapc  >c      sse
feature AES
set aes = DC:AESENC DD:AESENCLAST DE:AESDEC DF:AESDECLAST
66.0F38.00+{aes} {aes} Vdq,Wdq xr     -        -       sse
66.0F38.DB AESIMC  Vdq,Wdq   wr       -        -       sse
66.0F3A.DF AESKEYGENASSIST Vdq,Wdq,Ib wrr - -          sse
feature PCLMUL
66.0F3A.44 PCLMULQDQ Vdq,Wdq,Ib xrr   -        -       sse
feature SHA
set sha = C8:SHA1NEXTE C9:SHA1MSG1 CA:SHA1MSG2 CC:SHA256MSG1 CD:SHA256MSG2
NP.0F38.00+{sha} {sha} Vdq,Wdq xr     -        -       sse
NP.0F38.CB SHA256RNDS2 Vdq,Wdq,XMM0 xrr - -            sse
NP.0F3A.CC SHA1RNDS4 Vdq,Wdq,Ib xrr   -        -       sse

# -- integer instructions that came with these
feature SSE42
F2.0F38.F0 CRC32   Gd,Eb     xr       -        -
F2.0F38.F1 CRC32   Gd,Ev     xr       -        -
feature POPCNT
F3.0F.B8   POPCNT  Gv,Ev     wr       >oszapc  -
feature LZCNT
F3.0F.BD   LZCNT   Gv,Ev     wr       >cz~osap -       else=BSR_Gv_Ev
feature MOVBE
NP.0F38.F0 MOVBE   Gv,Mv     wr       -        -
66.0F38.F0 MOVBE   Gv,Mv     wr       -        -
NP.0F38.F1 MOVBE   Mv,Gv     wr       -        -
66.0F38.F1 MOVBE   Mv,Gv     wr       -        -
feature ADX
66.0F38.F6 ADCX    Gd,Ed     xr       c>c      -
F3.0F38.F6 ADOX    Gd,Ed     xr       o>o      -
feature RDRAND
NP.0F.C7/6 RDRAND  Rv        w        >oszapc  -
66.0F.C7/6 RDRAND  Rv        w        >oszapc  -
feature RDSEED
NP.0F.C7/7 RDSEED  Rv        w        >oszapc  -
66.0F.C7/7 RDSEED  Rv        w        >oszapc  -
"""
