//go:build !linux

package shim

import "errors"

func newMemFile(File) (fd int, err error) { return -1, errors.ErrUnsupported }
