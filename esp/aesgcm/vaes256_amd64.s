//go:build amd64 && !purego

#include "textflag.h"
#include "state_amd64.h"

// Reverses the bytes of each of two blocks.
DATA reverse2<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse2<>+8(SB)/8, $0x0001020304050607
DATA reverse2<>+16(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse2<>+24(SB)/8, $0x0001020304050607
GLOBL reverse2<>(SB), RODATA|NOPTR, $32

// The polynomial of GHASH, twice: see key_amd64.s.
DATA poly2<>+0(SB)/8, $1
DATA poly2<>+8(SB)/8, $0xc200000000000000
DATA poly2<>+16(SB)/8, $1
DATA poly2<>+24(SB)/8, $0xc200000000000000
GLOBL poly2<>(SB), RODATA|NOPTR, $32

// What makes the first two counter blocks of the first one, and the next two of
// two.
DATA firstTwo<>+0(SB)/8, $1
DATA firstTwo<>+8(SB)/8, $0
DATA firstTwo<>+16(SB)/8, $2
DATA firstTwo<>+24(SB)/8, $0
GLOBL firstTwo<>(SB), RODATA|NOPTR, $32
DATA nextTwo<>+0(SB)/8, $2
DATA nextTwo<>+8(SB)/8, $0
DATA nextTwo<>+16(SB)/8, $2
DATA nextTwo<>+24(SB)/8, $0
GLOBL nextTwo<>(SB), RODATA|NOPTR, $32

// 32 bytes that stay, and 32 that go.
DATA stay<>+0(SB)/8, $0xffffffffffffffff
DATA stay<>+8(SB)/8, $0xffffffffffffffff
DATA stay<>+16(SB)/8, $0xffffffffffffffff
DATA stay<>+24(SB)/8, $0xffffffffffffffff
DATA stay<>+32(SB)/8, $0
DATA stay<>+40(SB)/8, $0
DATA stay<>+48(SB)/8, $0
DATA stay<>+56(SB)/8, $0
GLOBL stay<>(SB), RODATA|NOPTR, $64

// Registers, for the whole of a message:
//
//	AX state, DI text, CX bytes left, R8 rounds; BX powers and SI key stream of a tail
//	Y0-Y7 eight times two blocks; Y8 a round key, or two powers
//	Y9-Y11 products, not yet reduced: low, middle, high; Y12, Y13 scratch
//	Y14 the next two counters, bytes reversed; Y15 the hash, above it zero
//
// The encrypted first counter block waits where the tag will be.

#define ROUND8(key) \
	VBROADCASTI128 (KEYS+key)(AX), Y8; \
	VAESENC Y8, Y0, Y0; \
	VAESENC Y8, Y1, Y1; \
	VAESENC Y8, Y2, Y2; \
	VAESENC Y8, Y3, Y3; \
	VAESENC Y8, Y4, Y4; \
	VAESENC Y8, Y5, Y5; \
	VAESENC Y8, Y6, Y6; \
	VAESENC Y8, Y7, Y7

#define COUNT(y) \
	VPSHUFB reverse2<>(SB), Y14, y; \
	VPADDD nextTwo<>(SB), Y14, Y14

// Y0 to Y7: the key stream for 256 bytes.
#define AES8(shorter, shortest) \
	COUNT(Y0); \
	COUNT(Y1); \
	COUNT(Y2); \
	COUNT(Y3); \
	COUNT(Y4); \
	COUNT(Y5); \
	COUNT(Y6); \
	COUNT(Y7); \
	VBROADCASTI128 (KEYS+0)(AX), Y8; \
	VPXOR Y8, Y0, Y0; \
	VPXOR Y8, Y1, Y1; \
	VPXOR Y8, Y2, Y2; \
	VPXOR Y8, Y3, Y3; \
	VPXOR Y8, Y4, Y4; \
	VPXOR Y8, Y5, Y5; \
	VPXOR Y8, Y6, Y6; \
	VPXOR Y8, Y7, Y7; \
	CMPQ R8, $12; \
	JB shortest; \
	JE shorter; \
	ROUND8(16); \
	ROUND8(32); \
shorter: \
	ROUND8(48); \
	ROUND8(64); \
shortest: \
	ROUND8(80); \
	ROUND8(96); \
	ROUND8(112); \
	ROUND8(128); \
	ROUND8(144); \
	ROUND8(160); \
	ROUND8(176); \
	ROUND8(192); \
	ROUND8(208); \
	VBROADCASTI128 (KEYS+224)(AX), Y8; \
	VAESENCLAST Y8, Y0, Y0; \
	VAESENCLAST Y8, Y1, Y1; \
	VAESENCLAST Y8, Y2, Y2; \
	VAESENCLAST Y8, Y3, Y3; \
	VAESENCLAST Y8, Y4, Y4; \
	VAESENCLAST Y8, Y5, Y5; \
	VAESENCLAST Y8, Y6, Y6; \
	VAESENCLAST Y8, Y7, Y7

// The products of a with the powers in Y8 begin Y9 to Y11.
#define MULTIPLY(a) \
	VPCLMULQDQ $0x00, Y8, a, Y9; \
	VPCLMULQDQ $0x01, Y8, a, Y10; \
	VPCLMULQDQ $0x10, Y8, a, Y12; \
	VPCLMULQDQ $0x11, Y8, a, Y11; \
	VPXOR Y12, Y10, Y10

// The products of a with the powers in Y8 are added to Y9 to Y11.
#define ACCUMULATE(a) \
	VPCLMULQDQ $0x00, Y8, a, Y12; \
	VPCLMULQDQ $0x11, Y8, a, Y13; \
	VPXOR Y12, Y9, Y9; \
	VPXOR Y13, Y11, Y11; \
	VPCLMULQDQ $0x01, Y8, a, Y12; \
	VPCLMULQDQ $0x10, Y8, a, Y13; \
	VPXOR Y12, Y10, Y10; \
	VPXOR Y13, Y10, Y10

// Y15 becomes what is in both lanes of Y9 to Y11 together, modulo the
// polynomial. Each of the two steps clears 64 bits at the low end.
#define REDUCE \
	VPCLMULQDQ $0x10, poly2<>(SB), Y9, Y12; \
	VPSHUFD $0x4e, Y9, Y9; \
	VPXOR Y12, Y10, Y10; \
	VPXOR Y9, Y10, Y10; \
	VPCLMULQDQ $0x10, poly2<>(SB), Y10, Y12; \
	VPSHUFD $0x4e, Y10, Y10; \
	VPXOR Y12, Y11, Y11; \
	VPXOR Y10, Y11, Y11; \
	VEXTRACTI128 $1, Y11, X12; \
	VPXOR X12, X11, X15

// The hash takes in two blocks of ciphertext in a, which are multiplied with the
// powers at this offset.
#define GHASH1(a, at) \
	VPSHUFB reverse2<>(SB), a, a; \
	VMOVDQU (H16+at)(AX), Y8; \
	ACCUMULATE(a)

// As GHASH1, for the first two of 16 blocks.
#define GHASH_FIRST(a) \
	VPSHUFB reverse2<>(SB), a, a; \
	VPXOR Y15, a, a; \
	VMOVDQU H16(AX), Y8; \
	MULTIPLY(a)

// The powers and the key stream for a tail of CX bytes: BX points to the power for
// its first block.
#define BEGIN_TAIL \
	LEAQ 15(CX), DX; \
	SHRQ $4, DX; \
	SHLQ $4, DX; \
	LEAQ H16(AX), BX; \
	ADDQ $240, BX; \
	SUBQ DX, BX; \
	LEAQ stream-288(SP), SI; \
	VMOVDQU Y0, 0(SI); \
	VMOVDQU Y1, 32(SI); \
	VMOVDQU Y2, 64(SI); \
	VMOVDQU Y3, 96(SI); \
	VMOVDQU Y4, 128(SI); \
	VMOVDQU Y5, 160(SI); \
	VMOVDQU Y6, 192(SI); \
	VMOVDQU Y7, 224(SI)

// The hash takes in two blocks of the tail in a, with its next powers.
#define GHASH_TAIL(a) \
	VPSHUFB reverse2<>(SB), a, a; \
	VPXOR Y15, a, a; \
	VPXOR Y15, Y15, Y15; \
	VMOVDQU (BX), Y8; \
	ACCUMULATE(a); \
	ADDQ $32, BX

// Copies the last DX bytes, less than 32, from R11 to R10.
#define COPY(by8, by4, by1, done) \
	CMPQ DX, $16; \
	JB by8; \
	VMOVDQU (R11), X12; \
	VMOVDQU X12, (R10); \
	ADDQ $16, R10; \
	ADDQ $16, R11; \
	SUBQ $16, DX; \
by8: \
	CMPQ DX, $8; \
	JB by4; \
	MOVQ (R11), R9; \
	MOVQ R9, (R10); \
	ADDQ $8, R10; \
	ADDQ $8, R11; \
	SUBQ $8, DX; \
by4: \
	CMPQ DX, $4; \
	JB by1; \
	MOVL (R11), R9; \
	MOVL R9, (R10); \
	ADDQ $4, R10; \
	ADDQ $4, R11; \
	SUBQ $4, DX; \
by1: \
	TESTQ DX, DX; \
	JE done; \
	MOVBLZX (R11), R9; \
	MOVB R9, (R10); \
	INCQ R10; \
	INCQ R11; \
	DECQ DX; \
	JMP by1; \
done:

// Registers as above, the encrypted first counter block, and the hash of the
// additional data.
#define BEGIN(shorter, shortest) \
	MOVQ s+0(FP), AX; \
	MOVQ text+8(FP), DI; \
	MOVQ n+16(FP), CX; \
	MOVQ ROUNDS(AX), R8; \
	VBROADCASTI128 IV(AX), Y14; \
	VPSHUFB reverse2<>(SB), Y14, Y14; \
	VPADDD firstTwo<>(SB), Y14, Y14; \
	VMOVDQU IV(AX), X0; \
	VPXOR (KEYS+0)(AX), X0, X0; \
	CMPQ R8, $12; \
	JB shortest; \
	JE shorter; \
	VAESENC (KEYS+16)(AX), X0, X0; \
	VAESENC (KEYS+32)(AX), X0, X0; \
shorter: \
	VAESENC (KEYS+48)(AX), X0, X0; \
	VAESENC (KEYS+64)(AX), X0, X0; \
shortest: \
	VAESENC (KEYS+80)(AX), X0, X0; \
	VAESENC (KEYS+96)(AX), X0, X0; \
	VAESENC (KEYS+112)(AX), X0, X0; \
	VAESENC (KEYS+128)(AX), X0, X0; \
	VAESENC (KEYS+144)(AX), X0, X0; \
	VAESENC (KEYS+160)(AX), X0, X0; \
	VAESENC (KEYS+176)(AX), X0, X0; \
	VAESENC (KEYS+192)(AX), X0, X0; \
	VAESENC (KEYS+208)(AX), X0, X0; \
	VAESENCLAST (KEYS+224)(AX), X0, X0; \
	VMOVDQU X0, TAG(AX); \
	VMOVDQU AAD(AX), X0; \
	VPSHUFB reverse2<>(SB), Y0, Y0; \
	VMOVDQU H1(AX), X8; \
	MULTIPLY(Y0); \
	REDUCE

// The hash of the lengths, and the tag; neither keys nor text stay in registers.
#define FINISH \
	VMOVDQU LENS(AX), X0; \
	VPSHUFB reverse2<>(SB), Y0, Y0; \
	VPXOR Y15, Y0, Y0; \
	VMOVDQU H1(AX), X8; \
	ACCUMULATE(Y0); \
	REDUCE; \
	VPSHUFB reverse2<>(SB), Y15, Y15; \
	VPXOR TAG(AX), X15, X15; \
	VMOVDQU X15, TAG(AX); \
	FORGET

// Neither key stream nor text stays in the frame.
#define FORGET_FRAME \
	VPXOR Y0, Y0, Y0; \
	LEAQ stream-288(SP), SI; \
	VMOVDQU Y0, 0(SI); \
	VMOVDQU Y0, 32(SI); \
	VMOVDQU Y0, 64(SI); \
	VMOVDQU Y0, 96(SI); \
	VMOVDQU Y0, 128(SI); \
	VMOVDQU Y0, 160(SI); \
	VMOVDQU Y0, 192(SI); \
	VMOVDQU Y0, 224(SI); \
	VMOVDQU Y0, 256(SI)

// func seal256(s *state, text *byte, n int)
TEXT ·seal256(SB), NOSPLIT, $288-24
	BEGIN(begin12, begin10)

loop:
	CMPQ CX, $256
	JB tail
	AES8(loop12, loop10)
	VPXOR 0(DI), Y0, Y0
	VPXOR 32(DI), Y1, Y1
	VPXOR 64(DI), Y2, Y2
	VPXOR 96(DI), Y3, Y3
	VPXOR 128(DI), Y4, Y4
	VPXOR 160(DI), Y5, Y5
	VPXOR 192(DI), Y6, Y6
	VPXOR 224(DI), Y7, Y7
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 160(DI)
	VMOVDQU Y6, 192(DI)
	VMOVDQU Y7, 224(DI)
	GHASH_FIRST(Y0)
	GHASH1(Y1, 32)
	GHASH1(Y2, 64)
	GHASH1(Y3, 96)
	GHASH1(Y4, 128)
	GHASH1(Y5, 160)
	GHASH1(Y6, 192)
	GHASH1(Y7, 224)
	REDUCE
	ADDQ $256, DI
	SUBQ $256, CX
	JMP loop

tail:
	VPXOR Y9, Y9, Y9
	VPXOR Y10, Y10, Y10
	VPXOR Y11, Y11, Y11
	TESTQ CX, CX
	JE finish
	AES8(tail12, tail10)
	BEGIN_TAIL

tailLoop:
	CMPQ CX, $32
	JB partial
	VMOVDQU (DI), Y0
	VPXOR (SI), Y0, Y0
	VMOVDQU Y0, (DI)
	GHASH_TAIL(Y0)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $32, CX
	JMP tailLoop

partial:
	TESTQ CX, CX
	JE forget
	VPXOR Y1, Y1, Y1
	VMOVDQU Y1, rest-32(SP)
	LEAQ rest-32(SP), R10
	MOVQ DI, R11
	MOVQ CX, DX
	COPY(in8, in4, in1, inDone)
	VMOVDQU rest-32(SP), Y0
	VPXOR (SI), Y0, Y0
	LEAQ stay<>+32(SB), R9
	SUBQ CX, R9
	VPAND (R9), Y0, Y0
	VMOVDQU Y0, rest-32(SP)
	LEAQ rest-32(SP), R11
	MOVQ DI, R10
	MOVQ CX, DX
	COPY(out8, out4, out1, outDone)
	GHASH_TAIL(Y0)

forget:
	FORGET_FRAME

finish:
	FINISH
	RET

// func open256(s *state, text *byte, n int)
TEXT ·open256(SB), NOSPLIT, $288-24
	BEGIN(begin12, begin10)

loop:
	CMPQ CX, $256
	JB tail
	VMOVDQU 0(DI), Y0
	GHASH_FIRST(Y0)
	VMOVDQU 32(DI), Y1
	GHASH1(Y1, 32)
	VMOVDQU 64(DI), Y2
	GHASH1(Y2, 64)
	VMOVDQU 96(DI), Y3
	GHASH1(Y3, 96)
	VMOVDQU 128(DI), Y4
	GHASH1(Y4, 128)
	VMOVDQU 160(DI), Y5
	GHASH1(Y5, 160)
	VMOVDQU 192(DI), Y6
	GHASH1(Y6, 192)
	VMOVDQU 224(DI), Y7
	GHASH1(Y7, 224)
	REDUCE
	AES8(loop12, loop10)
	VPXOR 0(DI), Y0, Y0
	VPXOR 32(DI), Y1, Y1
	VPXOR 64(DI), Y2, Y2
	VPXOR 96(DI), Y3, Y3
	VPXOR 128(DI), Y4, Y4
	VPXOR 160(DI), Y5, Y5
	VPXOR 192(DI), Y6, Y6
	VPXOR 224(DI), Y7, Y7
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 160(DI)
	VMOVDQU Y6, 192(DI)
	VMOVDQU Y7, 224(DI)
	ADDQ $256, DI
	SUBQ $256, CX
	JMP loop

tail:
	VPXOR Y9, Y9, Y9
	VPXOR Y10, Y10, Y10
	VPXOR Y11, Y11, Y11
	TESTQ CX, CX
	JE finish
	AES8(tail12, tail10)
	BEGIN_TAIL

tailLoop:
	CMPQ CX, $32
	JB partial
	VMOVDQU (DI), Y0
	VPXOR (SI), Y0, Y1
	VMOVDQU Y1, (DI)
	GHASH_TAIL(Y0)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $32, CX
	JMP tailLoop

partial:
	TESTQ CX, CX
	JE forget
	VPXOR Y1, Y1, Y1
	VMOVDQU Y1, rest-32(SP)
	LEAQ rest-32(SP), R10
	MOVQ DI, R11
	MOVQ CX, DX
	COPY(in8, in4, in1, inDone)
	VMOVDQU rest-32(SP), Y0
	VPXOR (SI), Y0, Y1
	VMOVDQU Y1, rest-32(SP)
	LEAQ rest-32(SP), R11
	MOVQ DI, R10
	MOVQ CX, DX
	COPY(out8, out4, out1, outDone)
	GHASH_TAIL(Y0)

forget:
	FORGET_FRAME

finish:
	FINISH
	RET
