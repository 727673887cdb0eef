// Package disks gives tests disks of their own: small ones that can be filled, and some that cannot be written.
package disks

import (
	"os"
	"path/filepath"
	"testing"
)

// Fill writes into dir until its disk is full.
func Fill(t testing.TB, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 512); err == nil; {
		_, err = f.Write(block)
	}
}
