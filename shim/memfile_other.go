//go:build !linux

package shim

import "errors"

const inherited, notInherited = 0, 0

func newMemFile(File, int) (fd int, err error) { return -1, errors.ErrUnsupported }

func replaceFile(old, fresh int) error { return errors.ErrUnsupported }
