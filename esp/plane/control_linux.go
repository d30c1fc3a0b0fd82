package plane

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// putControl writes the header of a control message and returns its data.
func putControl(b []byte, level, kind int32, n int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	return b[unix.CmsgLen(0):unix.CmsgLen(n)]
}

// control is one control message that the kernel has written.
type control struct {
	level, kind int32
	data        []byte
}

// is reports whether c is of this kind and holds n bytes at least.
func (c *control) is(level, kind int32, n int) bool {
	return c.level == level && c.kind == kind && len(c.data) >= n
}

// nextControl reads the first control message of oob, and returns those behind it;
// false where there is none.
func nextControl(oob []byte) (c control, rest []byte, ok bool) {
	if len(oob) < unix.SizeofCmsghdr {
		return control{}, nil, false
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	if h.Len < unix.SizeofCmsghdr || int(h.Len) > len(oob) {
		return control{}, nil, false
	}
	c = control{level: h.Level, kind: h.Type, data: oob[unix.CmsgLen(0):h.Len]}
	return c, oob[min(unix.CmsgSpace(len(c.data)), len(oob)):], true
}
