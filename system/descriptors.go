package system

import "golang.org/x/sys/unix"

// What warrend has open for itself, and for each context, at most.
const (
	filesAlone      = 48
	filesPerContext = 24
)

// raiseFileLimit makes room for the sockets of many contexts, as far as we may.
func raiseFileLimit() uint64 {
	const enough = 1 << 20
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil {
		return 0
	}
	for _, limit := range []unix.Rlimit{{Cur: enough, Max: max(enough, now.Max)}, {Cur: now.Max, Max: now.Max}} {
		if limit.Cur > now.Cur && unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
			return limit.Cur
		}
	}
	return now.Cur
}
