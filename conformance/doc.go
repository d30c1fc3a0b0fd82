// Package conformance plays scenarios of strongSwan's own test suite against Warren
// as the gateway, with Debian's strongSwan as the peer, in namespaces of internal/lab.
// `make conformance` runs it as root, and writes docs/conformance.md: a row for each
// of the scenarios that the suite has for a gateway, with what came of it.
//
// To add a scenario: its row in catalogue_test.go, and what happens in one of the
// tables of scenarios, such as sites_test.go. What a step may be is in steps_test.go.
package conformance
