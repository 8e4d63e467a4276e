/* crypto.c: AES, carry-less multiplication, SHA (SDM 1, 12.13; SDM 2, each instruction's page). */
#include "simd.h"

#define XMM_ONLY(NAME, text) XMM_ROW(NAME##_Vdq_Wdq, LD128, RUN(text))

XMM_ONLY(AESENC, "aesenc")
XMM_ONLY(AESENCLAST, "aesenclast")
XMM_ONLY(AESDEC, "aesdec")
XMM_ONLY(AESDECLAST, "aesdeclast")
XMM_ONLY(AESIMC, "aesimc")
BY_IMMEDIATE(aeskeygenassist, "aeskeygenassist")
XMM_ROW(AESKEYGENASSIST_Vdq_Wdq_Ib, LD128, a = aeskeygenassist(a, b, i->imm))

BY_IMMEDIATE(pclmulqdq, "pclmulqdq")
XMM_ROW(PCLMULQDQ_Vdq_Wdq_Ib, LD128, a = pclmulqdq(a, b, i->imm))

XMM_ONLY(SHA1NEXTE, "sha1nexte")
XMM_ONLY(SHA1MSG1, "sha1msg1")
XMM_ONLY(SHA1MSG2, "sha1msg2")
XMM_ONLY(SHA256MSG1, "sha256msg1")
XMM_ONLY(SHA256MSG2, "sha256msg2")
BY_IMMEDIATE(sha1rnds4, "sha1rnds4")
XMM_ROW(SHA1RNDS4_Vdq_Wdq_Ib, LD128, a = sha1rnds4(a, b, i->imm))
XMM_ROW(SHA256RNDS2_Vdq_Wdq_XMM0, LD128, {
    vec words = XMM(m, 0);
    __asm__("movdqa %2, %%xmm0\n\tsha256rnds2 %%xmm0, %1, %0" : "+x"(a) : "x"(b), "x"(words) : "xmm0");
})
