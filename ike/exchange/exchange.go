// Package exchange is what every version of IKE has in common with the Engine
// that runs it: what goes into an IKE SA and comes out of it, the SA as the
// Engine knows it, the Host that it finds there, and the Version that makes it.
//
// It is a leaf of values and interfaces: it knows no message, does no I/O, reads
// no clock and starts no goroutine. Package ike has the Engine; packages beside
// this one have the versions, which know each other as little as they know it.
package exchange
