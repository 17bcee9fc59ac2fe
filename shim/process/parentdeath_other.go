//go:build !linux

package process

func restoreParentDeath() {}
