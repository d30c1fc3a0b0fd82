package aesgcm

import "crypto/cipher"

// Implementations are all there are; those up to Best run on this processor.
var Implementations = []Implementation{{standard}, {vaes256}, {avx512}}

// Best is what New uses here.
var Best = Implementation{best}

// Implementation is one of them.
type Implementation struct{ i implementation }

// String returns its name.
func (i Implementation) String() string { return i.i.String() }

// Runs reports whether this processor can execute it.
func (i Implementation) Runs() bool { return i.i <= best }

// New returns an AEAD of it, which must run here.
func (i Implementation) New(key []byte) (cipher.AEAD, error) { return i.i.new(key) }
