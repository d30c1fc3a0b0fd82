//go:build race

package spawn

// stride is how many steps of a supervisor are between two at which it is killed: the
// race detector makes programs start slowly.
const stride = 9
