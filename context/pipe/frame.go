package pipe

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/warrenvpn/warren/context/control"
)

const (
	// MaxFrame bounds the JSON of one frame: the facts of some ten thousand
	// SAs fit with room to spare.
	MaxFrame = control.MaxBody + 1<<10
	// MaxFiles bounds the descriptors of one frame. The kernel takes 253 in
	// one message (SCM_MAX_FD).
	MaxFiles = 250

	headerLen = 4
	// firstRead is what is allocated on the word of a header alone; more only
	// as bytes really arrive.
	firstRead = 64 << 10
)

// oobSize holds the largest control message that the kernel delivers at once.
var oobSize = syscall.CmsgSpace(253 * 4)

// messageReader is the part of a *net.UnixConn that frames are read from.
type messageReader interface {
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
}

// messageWriter is the part of a *net.UnixConn that frames are written to.
type messageWriter interface {
	WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
	Write(b []byte) (int, error)
}

// frameReader reads whole frames. It never reads past the frame it is in, so
// that descriptors, which the kernel delivers with the bytes that they were
// sent with, always belong to that frame.
type frameReader struct {
	conn messageReader
	// limit returns how many bytes of JSON the next frame may have; nil: MaxFrame.
	limit func() int
	// takesFiles says that frames may come with descriptors. Without it the kernel
	// never hands one over, and a frame that has one ends the stream.
	takesFiles bool

	oob   []byte
	files []*os.File
}

// next returns the next frame with its descriptors. An error ends the stream;
// io.EOF is its proper end, between two frames.
func (r *frameReader) next() (control.Message, []*os.File, error) {
	msg, err := r.message()
	files := r.files
	r.files = nil
	if err != nil {
		closeAll(files)
		return control.Message{}, nil, err
	}
	return msg, files, nil
}

func (r *frameReader) message() (control.Message, error) {
	var header [headerLen]byte
	if err := r.full(header[:]); err != nil {
		return control.Message{}, err
	}
	size := int(binary.BigEndian.Uint32(header[:]))
	limit := MaxFrame
	if r.limit != nil {
		limit = r.limit()
	}
	if size == 0 || size > limit {
		return control.Message{}, fmt.Errorf("frame of %d bytes; 1 to %d are allowed", size, limit)
	}
	body, err := r.body(size)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return control.Message{}, err
	}
	var msg control.Message
	if err := json.Unmarshal(body, &msg); err != nil {
		return control.Message{}, fmt.Errorf("frame is not a message: %w", err)
	}
	return msg, nil
}

// body reads size bytes, and allocates no more than twice what has arrived.
func (r *frameReader) body(size int) ([]byte, error) {
	b := make([]byte, 0, min(size, firstRead))
	for len(b) < size {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(size, 2*cap(b)))
			copy(grown, b)
			b = grown
		}
		at := len(b)
		b = b[:cap(b)]
		if err := r.full(b[at:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// full fills b and collects the descriptors that come along.
func (r *frameReader) full(b []byte) error {
	if r.oob == nil && r.takesFiles {
		r.oob = make([]byte, oobSize)
	}
	for got := 0; got < len(b); {
		n, oobn, flags, _, err := r.conn.ReadMsgUnix(b[got:], r.oob)
		if oobn > 0 {
			if err := r.collect(r.oob[:oobn]); err != nil {
				return err
			}
		}
		if flags&syscall.MSG_CTRUNC != 0 {
			return errDescriptors
		}
		if n == 0 || errors.Is(err, io.EOF) {
			if got > 0 {
				return io.ErrUnexpectedEOF
			}
			return io.EOF
		}
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}

// errDescriptors is a frame with descriptors where none is taken, or with more
// than the kernel delivers.
var errDescriptors = errors.New("frame with descriptors that may not come along")

// collect takes over the descriptors in oob; those above MaxFiles are closed.
func (r *frameReader) collect(oob []byte) error {
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("reading control message: %w", err)
	}
	for _, m := range msgs {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue // credentials and the like: nobody asked for them
		}
		for _, fd := range fds {
			if len(r.files) >= MaxFiles {
				syscall.Close(fd)
				continue
			}
			syscall.CloseOnExec(fd)
			r.files = append(r.files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return nil
}

// appendFrame appends the frame of msg to b.
func appendFrame(b []byte, msg control.Message) ([]byte, error) {
	text, err := json.Marshal(msg)
	if err != nil {
		return nil, err
	}
	if len(text) > MaxFrame {
		return nil, fmt.Errorf("message of %d bytes; %d are allowed", len(text), MaxFrame)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...), nil
}

// writeFrame writes one whole frame, and returns how much of it has left; the
// descriptors go with its first bytes.
func writeFrame(w messageWriter, frame []byte, files []*os.File) (int, error) {
	if len(files) == 0 {
		return w.Write(frame)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn() // not Fd, which would make the file blocking
		if err != nil {
			return 0, err
		}
		if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
			return 0, err
		}
	}
	n, _, err := w.WriteMsgUnix(frame, syscall.UnixRights(fds...), nil)
	if err != nil {
		return n, err
	}
	if n < len(frame) {
		var more int
		more, err = w.Write(frame[n:])
		n += more
	}
	return n, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
