//go:build !linux

package memory

import "errors"

func exchange(_, _ string) error { return errors.ErrUnsupported }
