//go:build !linux

package process

import "math"

// ArgLimit leaves the check to execve.
func ArgLimit() int { return math.MaxInt }
