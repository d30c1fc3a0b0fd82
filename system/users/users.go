// Package users says which users of the host the processes of a system are: those of
// workers, and of the one that checks texts. It does no I/O: the users are numbers, and no
// file names them.
package users

import "hash/fnv"

// Users come from a range that no distribution gives out: above the container users of
// systemd, below 2^31. Each system has a share of it.
const (
	first   = 0x70000000
	share   = 1 << 12
	systems = 1 << 16
)

// Workers is how many workers a system can have: a user for each.
const Workers = share - 1

// FirstWorker returns the first of the users of the workers of a system; the others follow.
func FirstWorker(system string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(system))
	return first + h.Sum32()%systems*share
}

// Checker returns the user of the process of a system that checks texts: no worker has it.
func Checker(system string) uint32 { return FirstWorker(system) + Workers }
