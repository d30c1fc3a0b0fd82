package sa

// DF says how the outer Don't Fragment bit is set in tunnel mode (RFC 4301 section
// 8.1). The zero value means DFCopy.
type DF string

// The policies for the outer DF bit.
const (
	DFCopy  DF = "copy"  // as the inner packet has it
	DFSet   DF = "set"   // always
	DFClear DF = "clear" // never
)
