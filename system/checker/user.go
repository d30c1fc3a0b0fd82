package checker

import "hash/fnv"

// Users of the processes that check come from the end of the range that workers have
// (package tenants): the last number of each system's share, which no worker is given.
const (
	firstUID      = 0x70000000
	uidsPerSystem = 1 << 12
	uidSystems    = 1 << 16
)

// UserFor returns a user for the process of the system whose file is at path.
func UserFor(path string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(path))
	return firstUID + h.Sum32()%uidSystems*uidsPerSystem + uidsPerSystem - 1
}
