package checker

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the process that checks: a Checker starts the program that it is
// part of.
func TestMain(m *testing.M) {
	if Started(os.Args) {
		os.Exit(taken())
	}
	goleak.VerifyTestMain(m)
}
