package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// fileSuffix makes the name of the variable that names a secret's file.
	fileSuffix = "_FILE"
	// maxSecretBytes bounds a secret and its file.
	maxSecretBytes = 64 << 10
)

// ReadSecretFile reads a small regular file, the way Load does unless it is told otherwise. It never waits (a pipe is
// refused) and never reads more than a secret may have, plus one byte that tells that there is more.
func ReadSecretFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
}

// secretFromFile returns the content of the file that a _FILE variable names, without the blanks around it. Its
// mistakes name the path, never the content.
func secretFromFile(path string, read func(string) ([]byte, error)) (string, error) {
	if !filepath.IsAbs(path) {
		// The path is not shown: people put the key itself here.
		return "", wrong("", "must be the absolute path of a file that holds the secret, not the secret itself "+
			"(its value is not shown)")
	}
	b, err := read(path)
	if err != nil {
		// The path is in Problem.Value already.
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return "", wrong(path, "cannot be read: %s; check the path and its permissions", clip(fmt.Sprint(err)))
	}
	if len(b) > maxSecretBytes {
		return "", wrong(path, "the file has more than %d bytes, which no secret has; name the file that holds only the secret",
			maxSecretBytes)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", wrong(path, "the file is empty; write the secret into it")
	}
	return s, nil
}
