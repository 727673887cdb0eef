//go:build !linux

package coldstart

import (
	"errors"
	"fmt"
	"os"
)

func forget(*os.File) error { return errors.New("only Linux can") }

func residentBytes(*os.File, int64) (int64, error) {
	return 0, fmt.Errorf("only Linux tells: %w", errors.ErrUnsupported)
}
