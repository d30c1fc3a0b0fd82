// Offsets of struct state.
#define KEYS 0
#define POWERS 240
#define H16 (POWERS+16)
#define H1 (POWERS+256)
#define ROUNDS 560
#define IV 568
#define AAD 584
#define LENS 600
#define TAG 616

// Neither keys nor text stay in X0 to X15, and their upper parts are as code
// without vectors wants them.
#define FORGET \
	VPXOR X0, X0, X0; \
	VPXOR X1, X1, X1; \
	VPXOR X2, X2, X2; \
	VPXOR X3, X3, X3; \
	VPXOR X4, X4, X4; \
	VPXOR X5, X5, X5; \
	VPXOR X6, X6, X6; \
	VPXOR X7, X7, X7; \
	VPXOR X8, X8, X8; \
	VPXOR X9, X9, X9; \
	VPXOR X10, X10, X10; \
	VPXOR X11, X11, X11; \
	VPXOR X12, X12, X12; \
	VPXOR X13, X13, X13; \
	VPXOR X14, X14, X14; \
	VPXOR X15, X15, X15; \
	VZEROUPPER
