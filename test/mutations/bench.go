package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// bench is a copy of the rooms on which one mutation at a time is tried.
type bench struct{ dir string }

// newBench copies the mutated rooms and what they need to compile: nothing but the module's own files.
func newBench(root string) (*bench, error) {
	dir, err := os.MkdirTemp("", "gpu-watchdog-mutations-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			b.close()
			return nil, fmt.Errorf("copy the module: %w", err)
		}
	}
	for _, room := range slices.Concat(rooms, needed) {
		if err := copyRoom(root, dir, room); err != nil {
			b.close()
			return nil, fmt.Errorf("copy %s: %w", room, err)
		}
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// copyRoom copies the Go files of a package and its testdata, without the packages below it.
func copyRoom(root, dir, room string) error {
	files, err := filepath.Glob(filepath.Join(root, room, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := copyFile(file, filepath.Join(dir, room, filepath.Base(file))); err != nil {
			return err
		}
	}
	data := filepath.Join(root, room, "testdata")
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return os.CopyFS(filepath.Join(dir, room, "testdata"), os.DirFS(data))
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// try takes the rule out, runs the tests, and puts the rule back. by is the test that noticed, empty where none did.
func (b *bench) try(ctx context.Context, m mutation, limit time.Duration) (by string, err error) {
	path := filepath.Join(b.dir, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	mutated, err := m.apply(string(text))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(mutated), 0o644); err != nil {
		return "", err
	}
	by, err = b.test(ctx, filepath.Dir(m.file), limit)
	if back := os.WriteFile(path, text, 0o644); back != nil {
		return "", back
	}
	return by, err
}

// apply replaces the one text.
func (m mutation) apply(text string) (string, error) {
	if n := strings.Count(text, m.old); n != 1 {
		return "", fmt.Errorf("%s has this text %d times, not once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(text, m.old, m.now, 1), nil
}

// test compiles and runs the short tests of one room. by is the first test that failed, empty where all passed.
func (b *bench) test(ctx context.Context, room string, limit time.Duration) (by string, err error) {
	binary := filepath.Join(b.dir, room+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./"+room)
	build.Dir = b.dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tests := exec.CommandContext(ctx, binary, "-test.short", "-test.failfast")
	tests.Dir = filepath.Join(b.dir, room)
	out, err := tests.CombinedOutput()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return "", nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("its tests do not end within %s", limit), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &exit):
		return firstFailure(string(out)), nil
	}
	return "", fmt.Errorf("run the tests: %w", err)
}

var failure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// firstFailure is the innermost test of the first that failed.
func firstFailure(out string) string {
	found := ""
	for _, m := range failure.FindAllStringSubmatch(out, -1) {
		if found != "" && !strings.HasPrefix(m[1], found+"/") {
			break
		}
		found = m[1]
	}
	if found == "" {
		return "the tests ended badly"
	}
	return found
}
