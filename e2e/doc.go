// Package e2e is ring iv of the tests: the real programs in network namespaces,
// with strongSwan as their peer and tshark as the judge of what is on the wire.
// It needs root and Debian packages, so its tests stand behind the build tag
// e2e: `make e2e` runs them, and there a missing program is a failure, not a
// skipped test.
//
// Tests that mostly wait, and measure nothing that a busy processor would spoil,
// call t.Parallel: they run after all others, two at a time, the longest first.
package e2e
