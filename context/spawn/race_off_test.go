//go:build !race

package spawn

// stride is how many steps of a supervisor are between two at which it is killed.
const stride = 1
