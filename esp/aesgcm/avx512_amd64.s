//go:build amd64 && !purego

#include "textflag.h"
#include "state_amd64.h"

// Reverses the bytes of a block.
DATA reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+8(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16

// x^128 + x^127 + x^126 + x^121 + 1, the polynomial of GHASH with its bits
// reversed, without its highest term.
DATA poly<>+0(SB)/8, $1
DATA poly<>+8(SB)/8, $0xc200000000000000
GLOBL poly<>(SB), RODATA|NOPTR, $16

// What makes the first four counter blocks of the first one, and the next four
// of four.
DATA firstFour<>+0(SB)/8, $1
DATA firstFour<>+8(SB)/8, $0
DATA firstFour<>+16(SB)/8, $2
DATA firstFour<>+24(SB)/8, $0
DATA firstFour<>+32(SB)/8, $3
DATA firstFour<>+40(SB)/8, $0
DATA firstFour<>+48(SB)/8, $4
DATA firstFour<>+56(SB)/8, $0
GLOBL firstFour<>(SB), RODATA|NOPTR, $64
DATA nextFour<>+0(SB)/8, $4
DATA nextFour<>+8(SB)/8, $0
DATA nextFour<>+16(SB)/8, $4
DATA nextFour<>+24(SB)/8, $0
DATA nextFour<>+32(SB)/8, $4
DATA nextFour<>+40(SB)/8, $0
DATA nextFour<>+48(SB)/8, $4
DATA nextFour<>+56(SB)/8, $0
GLOBL nextFour<>(SB), RODATA|NOPTR, $64

// Registers, for the whole of a message:
//
//	AX state, DI text, CX bytes left, R8 rounds
//	Z0-Z3 four times four blocks; Z4 the next four counters, bytes reversed
//	Z5 the encrypted first counter block; Z6 the polynomial; Z7 the hash
//	Z8-Z10 products, not yet reduced: low, middle, high
//	Z11-Z14 text or scratch; Z15 powers; Z16-Z30 round keys; Z31 reverse

#define LOAD_KEYS \
	VBROADCASTI32X4 (KEYS+0)(AX), Z16; \
	VBROADCASTI32X4 (KEYS+16)(AX), Z17; \
	VBROADCASTI32X4 (KEYS+32)(AX), Z18; \
	VBROADCASTI32X4 (KEYS+48)(AX), Z19; \
	VBROADCASTI32X4 (KEYS+64)(AX), Z20; \
	VBROADCASTI32X4 (KEYS+80)(AX), Z21; \
	VBROADCASTI32X4 (KEYS+96)(AX), Z22; \
	VBROADCASTI32X4 (KEYS+112)(AX), Z23; \
	VBROADCASTI32X4 (KEYS+128)(AX), Z24; \
	VBROADCASTI32X4 (KEYS+144)(AX), Z25; \
	VBROADCASTI32X4 (KEYS+160)(AX), Z26; \
	VBROADCASTI32X4 (KEYS+176)(AX), Z27; \
	VBROADCASTI32X4 (KEYS+192)(AX), Z28; \
	VBROADCASTI32X4 (KEYS+208)(AX), Z29; \
	VBROADCASTI32X4 (KEYS+224)(AX), Z30; \
	MOVQ ROUNDS(AX), R8

// AES of the blocks in a; the labels are where shorter keys go on.
#define AES1(a, shorter, shortest) \
	VPXORQ Z16, a, a; \
	CMPQ R8, $12; \
	JB shortest; \
	JE shorter; \
	VAESENC Z17, a, a; \
	VAESENC Z18, a, a; \
shorter: \
	VAESENC Z19, a, a; \
	VAESENC Z20, a, a; \
shortest: \
	VAESENC Z21, a, a; \
	VAESENC Z22, a, a; \
	VAESENC Z23, a, a; \
	VAESENC Z24, a, a; \
	VAESENC Z25, a, a; \
	VAESENC Z26, a, a; \
	VAESENC Z27, a, a; \
	VAESENC Z28, a, a; \
	VAESENC Z29, a, a; \
	VAESENCLAST Z30, a, a

#define ROUND4(k) \
	VAESENC k, Z0, Z0; \
	VAESENC k, Z1, Z1; \
	VAESENC k, Z2, Z2; \
	VAESENC k, Z3, Z3

// Z0 to Z3: the key stream for 256 bytes.
#define AES4(shorter, shortest) \
	VPSHUFB Z31, Z4, Z0; \
	VPADDD nextFour<>(SB), Z4, Z4; \
	VPSHUFB Z31, Z4, Z1; \
	VPADDD nextFour<>(SB), Z4, Z4; \
	VPSHUFB Z31, Z4, Z2; \
	VPADDD nextFour<>(SB), Z4, Z4; \
	VPSHUFB Z31, Z4, Z3; \
	VPADDD nextFour<>(SB), Z4, Z4; \
	VPXORQ Z16, Z0, Z0; \
	VPXORQ Z16, Z1, Z1; \
	VPXORQ Z16, Z2, Z2; \
	VPXORQ Z16, Z3, Z3; \
	CMPQ R8, $12; \
	JB shortest; \
	JE shorter; \
	ROUND4(Z17); \
	ROUND4(Z18); \
shorter: \
	ROUND4(Z19); \
	ROUND4(Z20); \
shortest: \
	ROUND4(Z21); \
	ROUND4(Z22); \
	ROUND4(Z23); \
	ROUND4(Z24); \
	ROUND4(Z25); \
	ROUND4(Z26); \
	ROUND4(Z27); \
	ROUND4(Z28); \
	ROUND4(Z29); \
	VAESENCLAST Z30, Z0, Z0; \
	VAESENCLAST Z30, Z1, Z1; \
	VAESENCLAST Z30, Z2, Z2; \
	VAESENCLAST Z30, Z3, Z3

// The products of a with the powers in Z15 begin Z8 to Z10.
#define MULTIPLY(a, t) \
	VPCLMULQDQ $0x00, Z15, a, Z8; \
	VPCLMULQDQ $0x01, Z15, a, Z9; \
	VPCLMULQDQ $0x10, Z15, a, t; \
	VPCLMULQDQ $0x11, Z15, a, Z10; \
	VPXORQ t, Z9, Z9

// The products of a with the powers in Z15 are added to Z8 to Z10.
#define ACCUMULATE(a, t, u) \
	VPCLMULQDQ $0x00, Z15, a, t; \
	VPCLMULQDQ $0x11, Z15, a, u; \
	VPXORQ t, Z8, Z8; \
	VPXORQ u, Z10, Z10; \
	VPCLMULQDQ $0x01, Z15, a, t; \
	VPCLMULQDQ $0x10, Z15, a, u; \
	VPTERNLOGD $0x96, t, u, Z9

// Z7 becomes what is in all lanes of Z8 to Z10 together, modulo the polynomial.
// Each of the two steps clears 64 bits at the low end.
#define REDUCE(t, ty, tx) \
	VPCLMULQDQ $0x10, Z6, Z8, t; \
	VPSHUFD $0x4e, Z8, Z8; \
	VPTERNLOGD $0x96, t, Z8, Z9; \
	VPCLMULQDQ $0x10, Z6, Z9, t; \
	VPSHUFD $0x4e, Z9, Z9; \
	VPTERNLOGD $0x96, t, Z9, Z10; \
	VEXTRACTI64X4 $1, Z10, ty; \
	VPXOR ty, Y10, Y10; \
	VEXTRACTI128 $1, Y10, tx; \
	VPXOR tx, X10, X7

// The hash goes on over 256 bytes of ciphertext in a to d.
#define GHASH4(a, b, c, d, t, u) \
	VPSHUFB Z31, a, a; \
	VPSHUFB Z31, b, b; \
	VPSHUFB Z31, c, c; \
	VPSHUFB Z31, d, d; \
	VPXORQ Z7, a, a; \
	VMOVDQU64 (H16+0)(AX), Z15; \
	MULTIPLY(a, t); \
	VMOVDQU64 (H16+64)(AX), Z15; \
	ACCUMULATE(b, t, u); \
	VMOVDQU64 (H16+128)(AX), Z15; \
	ACCUMULATE(c, t, u); \
	VMOVDQU64 (H16+192)(AX), Z15; \
	ACCUMULATE(d, t, u)

// Registers as above, the counters, Z5, and the hash of the additional data.
#define BEGIN(shorter, shortest) \
	MOVQ s+0(FP), AX; \
	MOVQ text+8(FP), DI; \
	MOVQ n+16(FP), CX; \
	LOAD_KEYS; \
	VBROADCASTI32X4 reverse<>(SB), Z31; \
	VBROADCASTI32X4 poly<>(SB), Z6; \
	VBROADCASTI32X4 IV(AX), Z5; \
	VPSHUFB Z31, Z5, Z4; \
	VPADDD firstFour<>(SB), Z4, Z4; \
	AES1(Z5, shorter, shortest); \
	VMOVDQU AAD(AX), X11; \
	VPSHUFB Z31, Z11, Z11; \
	VMOVDQU H1(AX), X15; \
	MULTIPLY(Z11, Z12); \
	REDUCE(Z12, Y12, X12)

// The powers for a tail of CX bytes: BX points to that for its first block.
#define BEGIN_TAIL \
	VPXORQ Z8, Z8, Z8; \
	VPXORQ Z9, Z9, Z9; \
	VPXORQ Z10, Z10, Z10; \
	LEAQ 15(CX), DX; \
	SHRQ $4, DX; \
	SHLQ $4, DX; \
	LEAQ H16(AX), BX; \
	ADDQ $240, BX; \
	SUBQ DX, BX

// K1: a bit for each of the next bytes.
#define MASK \
	MOVQ $-1, R9; \
	CMPQ CX, $64; \
	JAE 4(PC); \
	MOVQ $1, R9; \
	SHLQ CX, R9; \
	DECQ R9; \
	KMOVQ R9, K1

// The hash of the lengths, and the tag.
#define FINISH \
	VMOVDQU LENS(AX), X11; \
	VPSHUFB Z31, Z11, Z11; \
	VPXORQ Z7, Z11, Z11; \
	VMOVDQU H1(AX), X15; \
	ACCUMULATE(Z11, Z12, Z13); \
	REDUCE(Z12, Y12, X12); \
	VPSHUFB Z31, Z7, Z7; \
	VPXOR X5, X7, X7; \
	VMOVDQU X7, TAG(AX); \
	FORGET_KEYS; \
	FORGET

// Round keys stay in no register: VZEROUPPER does not reach Z16 and above.
#define FORGET_KEYS \
	VPXORQ Z16, Z16, Z16; \
	VPXORQ Z17, Z17, Z17; \
	VPXORQ Z18, Z18, Z18; \
	VPXORQ Z19, Z19, Z19; \
	VPXORQ Z20, Z20, Z20; \
	VPXORQ Z21, Z21, Z21; \
	VPXORQ Z22, Z22, Z22; \
	VPXORQ Z23, Z23, Z23; \
	VPXORQ Z24, Z24, Z24; \
	VPXORQ Z25, Z25, Z25; \
	VPXORQ Z26, Z26, Z26; \
	VPXORQ Z27, Z27, Z27; \
	VPXORQ Z28, Z28, Z28; \
	VPXORQ Z29, Z29, Z29; \
	VPXORQ Z30, Z30, Z30

// func seal512(s *state, text *byte, n int)
TEXT ·seal512(SB), NOSPLIT, $0-24
	BEGIN(begin12, begin10)

loop:
	CMPQ CX, $256
	JB tail
	AES4(loop12, loop10)
	VPXORQ 0(DI), Z0, Z0
	VPXORQ 64(DI), Z1, Z1
	VPXORQ 128(DI), Z2, Z2
	VPXORQ 192(DI), Z3, Z3
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	GHASH4(Z0, Z1, Z2, Z3, Z11, Z12)
	REDUCE(Z11, Y11, X11)
	ADDQ $256, DI
	SUBQ $256, CX
	JMP loop

tail:
	BEGIN_TAIL
	TESTQ CX, CX
	JE finish

tailLoop:
	VPSHUFB Z31, Z4, Z0
	VPADDD nextFour<>(SB), Z4, Z4
	AES1(Z0, tail12, tail10)
	MASK
	VMOVDQU8.Z (DI), K1, Z11
	VPXORQ Z11, Z0, Z0
	VMOVDQU8 Z0, K1, (DI)
	VMOVDQU8.Z Z0, K1, Z11
	VPSHUFB Z31, Z11, Z11
	VPXORQ Z7, Z11, Z11
	VPXORQ Z7, Z7, Z7
	VMOVDQU64 (BX), Z15
	ACCUMULATE(Z11, Z12, Z13)
	ADDQ $64, BX
	ADDQ $64, DI
	SUBQ $64, CX
	JG tailLoop

finish:
	FINISH
	RET

// func open512(s *state, text *byte, n int)
TEXT ·open512(SB), NOSPLIT, $0-24
	BEGIN(begin12, begin10)

loop:
	CMPQ CX, $256
	JB tail
	AES4(loop12, loop10)
	VMOVDQU64 0(DI), Z11
	VMOVDQU64 64(DI), Z12
	VMOVDQU64 128(DI), Z13
	VMOVDQU64 192(DI), Z14
	VPXORQ Z11, Z0, Z0
	VPXORQ Z12, Z1, Z1
	VPXORQ Z13, Z2, Z2
	VPXORQ Z14, Z3, Z3
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	GHASH4(Z11, Z12, Z13, Z14, Z0, Z1)
	REDUCE(Z11, Y11, X11)
	ADDQ $256, DI
	SUBQ $256, CX
	JMP loop

tail:
	BEGIN_TAIL
	TESTQ CX, CX
	JE finish

tailLoop:
	VPSHUFB Z31, Z4, Z0
	VPADDD nextFour<>(SB), Z4, Z4
	AES1(Z0, tail12, tail10)
	MASK
	VMOVDQU8.Z (DI), K1, Z11
	VPXORQ Z11, Z0, Z0
	VMOVDQU8 Z0, K1, (DI)
	VPSHUFB Z31, Z11, Z11
	VPXORQ Z7, Z11, Z11
	VPXORQ Z7, Z7, Z7
	VMOVDQU64 (BX), Z15
	ACCUMULATE(Z11, Z12, Z13)
	ADDQ $64, BX
	ADDQ $64, DI
	SUBQ $64, CX
	JG tailLoop

finish:
	FINISH
	RET
