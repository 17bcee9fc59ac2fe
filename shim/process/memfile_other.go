//go:build !linux

package process

import "errors"

func newMemFile(File, int) (fd int, err error) { return -1, errors.ErrUnsupported }

func replaceFile(old, fresh int) error { return errors.ErrUnsupported }
