package program

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// buildMost is how long the build may take on a small machine with an empty cache, NVIDIA's bindings included.
const buildMost = 5 * time.Minute

// Build compiles the program into dir and returns its path.
func Build(dir string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildMost)
	defer cancel()
	path := filepath.Join(dir, "gpu-watchdog")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/gpu-watchdog/gpu-watchdog/cmd/gpu-watchdog").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// sideBySide is how many tests run at a time: they mostly wait, so there may be more than there are cores.
const sideBySide = "40"

// Main builds the program once, puts its path where path points, runs the tests, and returns their exit code.
func Main(m *testing.M, path *string) int {
	dir, err := os.MkdirTemp("", "gpu-watchdog-program-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the temporary folder
	if *path, err = Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", sideBySide) // testing has it
	}
	return m.Run()
}
