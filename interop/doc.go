// Package interop is what is proven against systems that no test machine is: the
// real systemd as the first process of a Debian on a user-mode kernel. `make interop`
// runs it as root, and writes docs/interop.md. It takes minutes and needs a mirror of
// Debian, so it is no part of `make test`.
package interop
